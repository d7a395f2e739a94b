//! Addresses with labels in them, such as `http://{private_ip}:8080`: one for each instance.
//!
//! Owns where a label may stand. The values come from elsewhere: samples when a configuration is read, the labels of an
//! instance's series at a drain.

use url::Url;

use super::parse::address;
use super::promql::is_label;

/// Where a label stands in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelPlace {
    /// The host or a part of it, or the user.
    Host,
    /// The whole host, between the brackets of an IPv6 address.
    Brackets,
    /// The port or a part of it, or the end of an IPv6 address.
    Number,
    /// The path.
    Path,
}

impl LabelPlace {
    /// The place between what precedes and what follows a label.
    fn between(before: &str, after: &str) -> Self {
        let authority = before.split_once("://").map_or(before, |(_, authority)| authority);
        let after_colon = authority.rsplit_once(':').map(|(_, number)| number);
        if authority.contains('/') {
            Self::Path
        } else if authority.ends_with('[') && after.starts_with(']') {
            Self::Brackets
        } else if after_colon.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            Self::Number
        } else {
            Self::Host
        }
    }

    fn sample(self) -> &'static str {
        match self {
            Self::Host | Self::Path => "x",
            Self::Brackets => "::1",
            Self::Number => "1",
        }
    }
}

/// Replaces each `{label}` of `template` with what `value` returns for it, or returns its first error.
pub(crate) fn fill_labels<E>(
    template: &str,
    mut value: impl FnMut(&str, LabelPlace) -> Result<String, E>,
) -> Result<String, E> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (label, remainder) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&value(label, LabelPlace::between(&filled, remainder))?);
        rest = remainder;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Checks an address with at least one `{label}` in it, and returns it without slashes at its end, and an example of the
/// addresses that it becomes.
pub(super) fn template(text: &str) -> Result<(String, Url), String> {
    if text.rsplit_once('{').is_some_and(|(_, last)| !last.contains('}')) {
        return Err(format!("has a {{ that is not closed: \"{text}\""));
    }
    if text.contains("{{") {
        return Err(format!("has two braces in place of one: \"{text}\"; write for example {{private_ip}}"));
    }
    if text.contains("${") {
        return Err(format!(
            "has a $ before its {{, which would be a part of the address: \"{text}\"; leave it out"
        ));
    }
    if !text.contains('{') {
        return Err(format!(
            "\"{text}\" would be the same for every instance; write for example {{private_ip}} in it"
        ));
    }
    let with_samples = fill_labels(text, |label, place| {
        if is_label(label) {
            Ok(place.sample().to_owned())
        } else {
            Err(format!("{{{label}}} is not the name of a label"))
        }
    })?;
    // The error quotes the address: people have written labels, not samples.
    let sample = address(&with_samples)
        .map_err(|error| error.replace(&format!("\"{with_samples}\""), &format!("\"{text}\"")))?;
    Ok((text.trim_end_matches('/').to_owned(), sample))
}
