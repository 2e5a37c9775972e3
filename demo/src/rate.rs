//! Rates as they are typed: "10M", "512K", "1.5G" bytes a second.

/// The suffixes of rsync and rclone, by which bytes are multiplied. Without one a number is of KiB, as it is for both.
const UNITS: [(char, f64); 5] =
    [('B', 1.0), ('K', 1024.0), ('M', 1_048_576.0), ('G', 1_073_741_824.0), ('T', 1_099_511_627_776.0)];

/// Bytes a second; 0 is no limit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let last = text.chars().next_back().map(|last| last.to_ascii_uppercase());
    let unit = UNITS.into_iter().find(|&(suffix, _)| Some(suffix) == last);
    let (number, factor) = match unit {
        Some((_, factor)) => (&text[..text.len() - 1], factor),
        None => (text, 1024.0),
    };
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        // A rate that is asked for is at least a byte a second: 0 would be none at all.
        Ok(number) if is_plain && number > 0.0 => Ok(((number * factor) as u64).max(1)),
        Ok(_) if is_plain => Ok(0),
        _ => Err("a number, and K, M, G or T for KiB, MiB, GiB or TiB a second".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_rsync_and_rclone_read_it() {
        let rates = ["10M", "512k", "1.5G", "100", "100B", "0", "0.0001B"].map(parse);
        assert_eq!(rates, [10 << 20, 512 << 10, 3 << 29, 100 << 10, 100, 0, 1].map(Ok));
        for wrong in ["", "M", "-1M", "1e9", "inf", "ten", "1 M", "1ß"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
