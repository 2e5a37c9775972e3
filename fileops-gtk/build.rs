//! Packs the templates and the style into the library, and compiles the translations where `msgfmt` is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    glib_build_tools::compile_resources(&["src"], "src/fileops.gresource.xml", "fileops.gresource");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("locale");
    println!("cargo:rustc-env=FILEOPS_BUILT_LOCALEDIR={}", out.display());
    println!("cargo:rerun-if-env-changed=FILEOPS_LOCALEDIR");
    let po = Path::new("../po");
    println!("cargo:rerun-if-changed=../po");
    let languages = fs::read_to_string(po.join("LINGUAS")).unwrap_or_default();
    for language in languages.split_whitespace() {
        let messages = out.join(language).join("LC_MESSAGES");
        fs::create_dir_all(&messages).expect("cargo's own directory can be written");
        let file = po.join(format!("{language}.po"));
        let made = Command::new("msgfmt").arg("--check").arg("-o").arg(messages.join("fileops.mo")).arg(file).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("cargo:warning=msgfmt did not compile po/{language}.po: English is shown instead");
        }
    }
}
