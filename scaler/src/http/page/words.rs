//! The words of the page: texts of decisions as a colleague would say them, with times as people write them.

use maud::{Markup, html};

use super::times::moment;
use crate::units::Time;

/// What decisions say, and what the page says instead.
const PLAIN: [(&str, &str); 5] = [
    ("calls for a scale-out", "wants more"),
    ("calls for a scale-in", "wants fewer"),
    ("no policy calls for a change", "no policy wants a change"),
    (">=", "≥"),
    ("<=", "≤"),
];

/// The length of a time such as `2026-11-20T07:00:00Z`, and the place of its letter T.
const TIME: (usize, usize) = (20, 10);

/// A text for a person, with its times as moments.
pub(super) fn said(text: &str, now: Time) -> Markup {
    let text = PLAIN.iter().fold(text.to_owned(), |text, (said, plain)| text.replace(said, plain));
    html! {
        @for (words, at) in pieces(&text) {
            (words)
            @if let Some(at) = at { (moment(at, now)) }
        }
    }
}

/// The words before each time, and that time; the last words have none.
fn pieces(text: &str) -> Vec<(&str, Option<Time>)> {
    let (length, letter) = TIME;
    let mut pieces = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('T') {
        let Some(start) = at.checked_sub(letter).filter(|start| *start >= begin) else { continue };
        let time = text.get(start..start + length).filter(|time| time.ends_with('Z'));
        if let Some(time) = time.and_then(Time::parse) {
            pieces.push((&text[begin..start], Some(time)));
            begin = start + length;
        }
    }
    pieces.push((&text[begin..], None));
    pieces
}

/// The first clause of a decision's sentence, and its reasons. `has_been` says whether it is over.
pub(super) fn clauses(text: &str, has_been: bool) -> (String, &str) {
    let (headline, reasons) = text.split_once(": ").unwrap_or((text, ""));
    let words = if has_been {
        [("hold at ", "Stayed at "), ("scale out ", "Scaled out "), ("scale in ", "Scaled in ")]
    } else {
        [("hold at ", "Stays at "), ("scale out ", "Scales out "), ("scale in ", "Scales in ")]
    };
    let found =
        words.iter().find_map(|(said, plain)| Some(format!("{plain}{}", headline.strip_prefix(said)?)));
    (found.unwrap_or_else(|| headline.to_owned()), reasons)
}

/// A number of things, with their name in the right form.
pub(super) fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_as_a_colleague_says_it() {
        let now = Time::parse("2026-11-20T07:00:10Z").expect("a time");
        let text = "stress calls for a scale-in (<= 0.2 in 2 of 3 periods); the cooldown of stress allows no scale-in until \
                    2026-11-20T07:05:00Z, after <the> last scale-out";
        insta::assert_snapshot!(said(text, now).into_string(), @r#"stress wants fewer (≤ 0.2 in 2 of 3 periods); the cooldown of stress allows no scale-in until <time datetime="2026-11-20T07:05:00Z" title="2026-11-20T07:05:00Z">07:05</time>, after &lt;the&gt; last scale-out"#);
        assert_eq!(clauses("hold at 3: it rests", false), ("Stays at 3".to_owned(), "it rests"));
        assert_eq!(clauses("scale out from 3 to 4", true), ("Scaled out from 3 to 4".to_owned(), ""));
        assert_eq!(clauses("something: else", true), ("something".to_owned(), "else"));
    }

    #[test]
    fn what_only_looks_like_a_time_stays_a_text() {
        let texts = ["T", "éT2026-11-20T07:05:00", "2026-99-20T07:05:00Z", "2026-11-20T07:05:00+01:00 Test"];
        for text in texts {
            assert_eq!(pieces(text), [(text, None)]);
        }
        let two = pieces("2026-11-20T07:05:00Z2026-11-20T07:06:00Z");
        assert_eq!(two.iter().filter(|(words, at)| words.is_empty() && at.is_some()).count(), 2);
    }
}
