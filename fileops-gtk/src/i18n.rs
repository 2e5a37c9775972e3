//! Translations: look-ups in the domain `fileops`, and sentences with named places.
//!
//! They go through `g_dgettext`, which answers in English where the application itself has a text domain but no catalogue
//! for the user's language: windows never mix languages. The locale is the application's business: GTK sets it.

use gtk::glib;
use std::env;
use std::path::{Path, PathBuf};

const DOMAIN: &str = "fileops";

/// Tells where the catalogues are: in `$FILEOPS_LOCALEDIR`, where the build was told (the same name, at compile time),
/// where it put them if they still are there, or in the system's directory.
pub(crate) fn bind() {
    let built = Path::new(env!("FILEOPS_BUILT_LOCALEDIR"));
    let dir = env::var_os("FILEOPS_LOCALEDIR")
        .map(PathBuf::from)
        .or(option_env!("FILEOPS_LOCALEDIR").map(PathBuf::from))
        .or(built.is_dir().then(|| built.to_owned()))
        .unwrap_or_else(|| PathBuf::from("/usr/share/locale"));
    // English is what is left when this fails.
    let bound =
        gettextrs::bindtextdomain(DOMAIN, dir).and_then(|_| gettextrs::bind_textdomain_codeset(DOMAIN, "UTF-8"));
    if let Err(error) = bound {
        glib::g_warning!("fileops-gtk", "no translations: {error}");
    }
}

pub(crate) fn gettext(sentence: &str) -> String {
    glib::dgettext(Some(DOMAIN), sentence).into()
}

/// The sentence for a number of things: one, or as many forms as the language has.
pub(crate) fn ngettext(one: &str, many: &str, number: u64) -> String {
    // All languages repeat their forms below that.
    let number = if number > 1_000_000 { 1_000_000 + number % 1_000_000 } else { number };
    glib::dngettext(Some(DOMAIN), one, many, number as _).into()
}

/// A word that means different things in different places, with the place.
pub(crate) fn pgettext(context: &str, word: &str) -> String {
    glib::dpgettext2(Some(DOMAIN), context, word).into()
}

/// Puts values into the places of a sentence: `{name}`. What is put in is not looked at again.
pub(crate) fn fill(sentence: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(sentence.len() + 16);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_by_name_and_once() {
        let filled = fill("{n} of “{name}” {unknown} {", &[("name", "a{n}b"), ("n", "3")]);
        assert_eq!(filled, "3 of “a{n}b” {unknown} {");
    }
}
