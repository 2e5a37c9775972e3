//! URL <-> path <-> name: the vectors that other programs can be tested with too, and what holds for every input.

use fileops::uri::{Invalid, Reason, Url, entry_name};
use proptest::prelude::*;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

const VECTORS: &str = include_str!("../data/mapping-vectors.tsv");

const NET: &str = "/home/u/net";

/// The lines of the table, as columns.
fn vectors() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').collect())
}

/// A column with `\xFF` for bytes that are not UTF-8.
fn bytes(column: &str) -> Vec<u8> {
    let mut parts = column.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn reason_of(name: &str) -> Reason {
    match name {
        "dot" => Reason::Dot,
        "slash" => Reason::Slash,
        "nul" => Reason::Nul,
        "escape" => Reason::Escape,
        "scheme" => Reason::Scheme,
        "host" => Reason::Host,
        "password" => Reason::Password,
        "port" => Reason::Port,
        "query-or-fragment" => Reason::QueryOrFragment,
        "not-canonical" => Reason::NotCanonical,
        _ => panic!("the table has a new reason: {name}"),
    }
}

fn refused(answer: Result<Url, Invalid>) -> Reason {
    answer.expect_err("it has to be refused").reason
}

#[test]
fn every_vector_of_the_table_holds() {
    let (mut urls, mut refusals, mut paths, mut labels) = (0, 0, 0, 0);
    for columns in vectors() {
        match columns[..] {
            [url, path, canonical] => {
                urls += 1;
                let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {}", error.reason));
                let below = [NET.as_bytes(), b"/", &bytes(path)].concat();
                assert_eq!(parsed.to_path(NET).as_os_str().as_bytes(), below, "{url}");
                assert_eq!(parsed.to_string(), canonical, "{url}");
                let back = Url::from_path(OsStr::from_bytes(&below), NET).unwrap();
                assert_eq!(back, parsed.without_trailing_slash(), "{path}");
            }
            [label, entry] if label.starts_with('"') => {
                labels += 1;
                assert_eq!(entry_name(&label[1..], |_| false), entry.trim_start_matches('='), "{label}");
            }
            [path, reason] if reason.starts_with("!!") => {
                paths += 1;
                assert_eq!(refused(Url::from_path(format!("{NET}/{path}"), NET)), reason_of(&reason[2..]), "{path}");
            }
            [url, reason] => {
                refusals += 1;
                assert_eq!(refused(Url::parse(url)), reason_of(&reason[1..]), "{url}");
            }
            _ => panic!("{columns:?}"),
        }
    }
    assert_eq!((urls, refusals, paths, labels), (30, 25, 7, 6), "the table was read to its end");
}

#[test]
fn spellings_beyond_the_table_have_one_canonical_form() {
    for (url, canonical) in [
        ("ftp://h", "ftp://h/"),
        ("ftp://h:/x", "ftp://h/x"),
        ("ftp://h:0021/x", "ftp://h/x"),
        ("ftp://@h/x", "ftp://h/x"),
        ("CIFS://NAS:445/Music/", "smb://nas/Music/"),
        ("dav://h:443/x", "dav://h:443/x"),
        ("smb://DOM;bob@nas/s", "smb://DOM%3Bbob@nas/s"),
        ("ftp://a@b@h/", "ftp://a%40b@h/"),
        ("ftp://h/a b\n/", "ftp://h/a%20b%0A/"),
        ("ftp://bücher.example/é", "ftp://xn--bcher-kva.example/%C3%A9"),
        ("ftp://BÜCHER.example。/", "ftp://xn--bcher-kva.example/"),
        ("ftp://１２７.0.0.1/", "ftp://127.0.0.1/"),
        ("nfs://[::ffff:1.2.3.4]:2049/x", "nfs://[::ffff:1.2.3.4]/x"),
        ("sftp://[fe80::1%25%65th0]:22/", "sftp://[fe80::1%25eth0]/"),
        ("ftp://h/...", "ftp://h/..."),
    ] {
        let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {}", error.reason));
        assert_eq!(parsed.to_string(), canonical, "{url}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let long = "x".repeat(256);
    for (url, reason) in [
        ("", Reason::Scheme),
        ("http:", Reason::Scheme),
        (" ftp://h/", Reason::Scheme),
        ("ftp://h?@evil/", Reason::QueryOrFragment),
        ("ftp://h\0/", Reason::Nul),
        ("ftp://u%00@h/", Reason::Nul),
        ("ftp://u:@h/", Reason::Password),
        ("ftp://::1/", Reason::Host),
        ("ftp://h\\evil/", Reason::Host),
        ("ftp://h../", Reason::Host),
        ("ftp://./", Reason::Host),
        ("ftp://%5B::1%5D/", Reason::Host),
        ("ftp://[::1]x/", Reason::Host),
        ("ftp://[fe80::1%25]/", Reason::Host),
        ("ftp://[fe80::1%25a%2Fb]/", Reason::Host),
        ("ftp://a.-b/", Reason::Host),
        ("ftp://h%FF/", Reason::Host),
        ("ftp://h:+1/", Reason::Port),
        ("ftp://h:1:2/", Reason::Port),
        (&format!("ftp://h/{long}"), Reason::TooLong),
        (&format!("ftp://{long}@h/"), Reason::TooLong),
        (&format!("ftp://{}/", &long[..64]), Reason::Host),
    ] {
        assert_eq!(refused(Url::parse(url)), reason, "{url}");
    }
    assert!(Url::parse(format!("ftp://h/{}", &long[..255])).is_ok());
}

#[test]
fn a_path_elsewhere_is_no_address() {
    for (path, reason) in [
        ("/home/u/network/ftp:h", Reason::Outside),
        ("/home/u", Reason::Outside),
        ("home/u/net/ftp:h", Reason::Outside),
        ("/home/u/net", Reason::NotCanonical),
        ("/home/u/net/", Reason::NotCanonical),
        ("/home/u/net/FTP share on h", Reason::NotCanonical),
        ("/home/u/net/file:h", Reason::NotCanonical),
        ("/home/u/net/ftp:a@b@h", Reason::NotCanonical),
        ("/home/u/net/ftp:h/.", Reason::Dot),
        ("/home/u/net/ftp:u:pw@h", Reason::Password),
    ] {
        assert_eq!(refused(Url::from_path(path, NET)), reason, "{path}");
    }
    let url = Url::from_path("//home/u//net/ftp:h//a/", "/home/u/net/").unwrap();
    assert_eq!(url.to_string(), "ftp://h/a");
}

#[test]
fn an_address_tells_its_parts_and_its_name() {
    use fileops::uri::{Name, Scheme};
    let url = Url::parse("smb://DOM%3Bbob@nas:4450/My%20Share/a%E9").unwrap();
    assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Smb, "nas", 4450));
    assert_eq!(url.user(), Some(OsString::from("DOM;bob")));
    assert_eq!(url.path().as_os_str().as_bytes(), b"My Share/a\xe9");
    let name = OsString::from_vec(b"a\xe9".to_vec());
    assert_eq!(url.name(), Name::Entry { name, host: "nas:4450".into() });

    let share = |url: &str| Url::parse(url).unwrap().name();
    assert_eq!(share("ftp://h/"), Name::Share { scheme: Scheme::Ftp, host: "h".into() });
    let user = OsString::from("bob");
    assert_eq!(share("ssh://bob@h"), Name::ShareAs { scheme: Scheme::Sftp, host: "h".into(), user });
}

#[test]
fn labels_become_names_that_cannot_be_taken_for_anything_else() {
    let entry = |label: &str| entry_name(label, |_| false);
    assert_eq!(entry("a\u{202e}txt.exe"), "a\u{fffd}txt.exe");
    assert_eq!(entry("a\n\0b"), "a\u{fffd}\u{fffd}b");
    assert_eq!(entry(" ... "), "Unnamed share");
    assert_eq!(entry("12:30"), "12:30");
    assert_eq!(entry_name(b"caf\xe9", |_| false), "caf\u{fffd}");
    let long = "é".repeat(200);
    assert_eq!(entry(&long), "é".repeat(100));
    let taken = [entry(&long), format!("{} (2)", "é".repeat(98))];
    assert_eq!(entry_name(&long, |name| taken.iter().any(|other| other == name)), format!("{} (3)", "é".repeat(98)));
}

/// A name in a path: any bytes that a name may have.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |&byte| byte != 0 && byte != b'/');
    let punctuation = prop::sample::select(b"%.:@?#; \\+~".to_vec());
    let names = prop::collection::vec(prop_oneof![byte, punctuation], 1..40);
    names.prop_filter("they are no names", |name| name != b"." && name != b"..")
}

/// The canonical directory name of a share, written by a grammar of the test's own.
fn share() -> impl Strategy<Value = Vec<u8>> {
    let scheme = prop::sample::select(vec![("ftp", 21), ("ftps", 990), ("sftp", 22), ("dav", 80), ("davs", 443)]);
    let user = prop::option::of(prop::collection::vec(1..=255u8, 1..20));
    let host = prop_oneof![
        "[a-z0-9_][a-z0-9_-]{0,20}(\\.[a-z0-9_][a-z0-9_-]{0,20}){0,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        (any::<std::net::Ipv6Addr>(), "(%[A-Za-z0-9._~-]{1,15})?")
            .prop_map(|(address, zone)| format!("[{address}{zone}]")),
    ];
    (scheme, user, host, prop::option::of(1..=65535u16)).prop_map(|((scheme, default), user, host, port)| {
        let mut name = format!("{scheme}:");
        for byte in user.iter().flatten() {
            let is_bare = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
            name += &if is_bare { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
        }
        name += if user.is_some() { "@" } else { "" };
        name += &host;
        name += &port.filter(|&port| port != default).map_or_else(String::new, |port| format!(":{port}"));
        name.into_bytes()
    })
}

/// Something that looks like a URL often enough to get past the first check.
fn nearly_url() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "ftp",
        "SSH",
        "dav",
        "https",
        "://",
        ":",
        "/",
        "//",
        "@",
        "[",
        "]",
        "::1",
        "fe80::1",
        "%25",
        "%",
        "%2F",
        "%2e",
        "%41",
        "%fF",
        "%00",
        ".",
        "..",
        "?",
        "#",
        "h",
        "host.example",
        "H-",
        "-",
        "_",
        "21",
        "443",
        "65536",
        "ü",
        "。",
        "ß",
        "xn--",
        ";",
        "~",
        " ",
        "eth0",
        "\u{202e}",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    let rest = prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat());
    let start = prop::sample::select(vec!["ftp://", "sftp://u@h/", ""]);
    (start, rest).prop_map(|(start, rest)| [start.as_bytes(), &rest].concat())
}

/// What holds for whatever is given as a URL.
fn check_url(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(url) = Url::parse(OsStr::from_bytes(bytes)) else { return Ok(()) };
    let canonical = url.to_string();
    prop_assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{}", canonical);
    prop_assert_eq!(&Url::parse(&canonical).unwrap(), &url);
    let path = url.to_path(NET);
    prop_assert!(path.starts_with(NET) && path.components().count() > 4, "{}", path.display());
    let back = Url::from_path(&path, NET).unwrap();
    prop_assert_eq!(back.to_string(), url.clone().without_trailing_slash().to_string());
    prop_assert_eq!(back.to_path(NET), path);
    let less = if url.has_trailing_slash() { canonical.strip_suffix('/').unwrap() } else { &canonical };
    prop_assert_eq!(back.to_string(), less);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a_path_comes_back_from_its_url(share in share(), names in prop::collection::vec(segment(), 0..5)) {
        prop_assume!(share.len() <= 255);
        let path = [NET.as_bytes().to_vec(), share].into_iter().chain(names).collect::<Vec<_>>().join(&b'/');
        let path = Path::new(OsStr::from_bytes(&path));
        let url = Url::from_path(path, NET).unwrap().to_string();
        let back = Url::parse(&url).unwrap().to_path(NET);
        prop_assert_eq!(back.as_os_str(), path.as_os_str(), "{}", url);
    }

    #[test]
    fn a_label_of_any_bytes_becomes_one_harmless_name(label in prop::collection::vec(any::<u8>(), 0..300), taken in 0..4u8) {
        let mut asked = 0;
        let name = entry_name(&label, |_| {
            asked += 1;
            asked <= taken
        });
        prop_assert!((1..=200).contains(&name.len()));
        let has_harm = name.starts_with('.') || name.contains(['/', '\0', '\n', '\u{202e}']);
        prop_assert!(!has_harm, "{}", name);
        prop_assert_eq!(refused(Url::from_path(Path::new(NET).join(&name), NET)), Reason::NotCanonical);
    }
}

proptest! {
    // Long: it stands for a fuzzer.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn the_url_of_a_path_of_a_url_is_canonical(bytes in nearly_url()) {
        check_url(&bytes)?;
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        for start in ["", "ftp://", "sftp://h/", "dav://[fe80::1%25"] {
            check_url(&[start.as_bytes(), &bytes].concat())?;
        }
        for start in ["", "ftp:", "smb:h/", "nfs:["] {
            let path = [b"/home/u/net/", start.as_bytes(), &bytes].concat();
            if let Ok(url) = Url::from_path(OsStr::from_bytes(&path), NET) {
                check_url(url.to_string().as_bytes())?;
            }
        }
    }

    #[test]
    fn no_directory_name_leads_elsewhere(bytes in nearly_url()) {
        let name = String::from_utf8_lossy(&bytes).replacen("://", ":", 1);
        let path = Path::new(NET).join(name.trim_start_matches('/'));
        if let Ok(url) = Url::from_path(&path, NET) {
            prop_assert_eq!(url.to_path(NET), path);
        }
    }
}
