//! A tolerant parser of Prometheus' text formats: yields samples line by line, borrowed from the body. It skips comments,
//! timestamps, exemplars and lines that are not samples.

use std::borrow::Cow;

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'b> {
    /// Its name, as written.
    pub name: &'b str,
    /// Its labels.
    pub labels: Labels<'b>,
    /// Its value, which may be NaN or infinite.
    pub value: f64,
}

/// The labels of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels<'b> {
    /// The text between the braces, already validated.
    inner: &'b str,
}

impl<'b> Labels<'b> {
    /// The value of the label `name`.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Cow<'b, str>> {
        let mut rest = self.inner;
        while let Some((label, value, after)) = label(rest) {
            if label == name {
                return Some(unescaped(value));
            }
            rest = after;
        }
        None
    }

    /// The names of all labels.
    pub fn names(self) -> impl Iterator<Item = &'b str> {
        let mut rest = self.inner;
        std::iter::from_fn(move || {
            let (name, _, after) = label(rest)?;
            rest = after;
            Some(name)
        })
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(self) -> bool {
        label(self.inner).is_none()
    }
}

/// The samples of a body.
pub fn lines(body: &str) -> impl Iterator<Item = Line<'_>> {
    body.lines().filter_map(line)
}

fn line(text: &str) -> Option<Line<'_>> {
    let text = text.trim_start();
    let (name, rest) = name(text)?;
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::default(), rest),
    };
    // The value may be followed by a timestamp, and after a # by an exemplar.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Line { name, labels, value })
}

/// Splits a name from the rest of the line.
fn name(text: &str) -> Option<(&str, &str)> {
    let belongs = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    let end = text.bytes().position(|b| !belongs(b)).unwrap_or(text.len());
    (end > 0 && !text.as_bytes()[0].is_ascii_digit()).then(|| text.split_at(end))
}

/// Labels up to their brace, and what is behind it. `None` if they are out of order.
fn labels(text: &str) -> Option<(Labels<'_>, &str)> {
    let mut rest = text;
    while let Some((_, _, after)) = label(rest) {
        rest = after;
    }
    let behind = rest.trim_start().strip_prefix('}')?;
    Some((Labels { inner: &text[..text.len() - behind.len() - 1] }, behind))
}

/// The first label: its name, its value with escapes, and the rest after a comma.
fn label(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = name(text.trim_start())?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = value.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    let rest = value[end + 1..].trim_start();
    Some((name, &value[..end], rest.strip_prefix(',').unwrap_or(rest)))
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(escaped @ ('\\' | '"')) => plain.push(escaped),
                // Not an escape sequence of these formats: keep it.
                other => plain.extend(Some('\\').into_iter().chain(other)),
            },
            (character, false) => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use test_case::test_case;

    fn only(text: &str) -> Option<Line<'_>> {
        let found: Vec<_> = lines(text).collect();
        assert!(found.len() < 2, "{found:?}");
        found.first().copied()
    }

    #[test_case("a 1", "a", 1.0 ; "a name and a value")]
    #[test_case("  a:b_2\t1.5E3  ", "a:b_2", 1500.0 ; "blanks and an exponent")]
    #[test_case("a 7 1700000000000", "a", 7.0 ; "a time stamp")]
    #[test_case("a_total 7.0 1700000000.5 # {trace_id=\"x\"} 1", "a_total", 7.0 ; "an exemplar")]
    #[test_case("a{} -1", "a", -1.0 ; "no labels in braces")]
    #[test_case("a {b=\"}\"} 2", "a", 2.0 ; "a brace in a value")]
    #[test_case("a{b=\"c\",} 2\r", "a", 2.0 ; "a comma at the end and a carriage return")]
    #[test_case("a +Inf", "a", f64::INFINITY ; "infinite")]
    fn samples(text: &str, name: &str, value: f64) {
        let line = only(text).expect("a sample");
        assert_eq!((line.name, line.value.to_bits()), (name, value.to_bits()));
    }

    #[test_case("" ; "nothing")]
    #[test_case("# TYPE a counter" ; "a comment")]
    #[test_case("# EOF" ; "the end")]
    #[test_case("a" ; "a name alone")]
    #[test_case("1 1" ; "no name")]
    #[test_case("a b" ; "no number")]
    #[test_case("a{b=\"c\" 1" ; "an open brace")]
    #[test_case("a{b=\"c} 1" ; "an open quote")]
    #[test_case("a{b=c} 1" ; "no quotes")]
    #[test_case("a{=\"c\"} 1" ; "a label without a name")]
    #[test_case("a{b=\"c\"}" ; "labels without a value")]
    #[test_case("<html>" ; "a page")]
    #[test_case("é 1" ; "another alphabet")]
    fn other_lines_are_skipped(text: &str) {
        assert_eq!(only(text), None);
    }

    #[test_case("a{b=\"c\"} 1", "b", Some("c") ; "one")]
    #[test_case("a{b=\"c\" , d = \"e\"} 1", "d", Some("e") ; "another")]
    #[test_case("a{b=\"c\"} 1", "d", None ; "none of that name")]
    #[test_case("a{b=\"\"} 1", "b", Some("") ; "empty")]
    #[test_case(r#"a{b="\"\\\n\x\\"} 1"#, "b", Some("\"\\\n\\x\\") ; "escapes")]
    #[test_case("a{b=\"é}{,=\"} 1", "b", Some("é}{,=") ; "anything in quotes")]
    fn labels_of_a_sample(text: &str, name: &str, expected: Option<&str>) {
        assert_eq!(only(text).expect("a sample").labels.get(name).as_deref(), expected);
    }

    #[test]
    fn names_of_labels() {
        let names: Vec<&str> = only("a{b=\"c=\\\"\", d=\"\",} 1").expect("a sample").labels.names().collect();
        assert_eq!(names, ["b", "d"]);
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let names: Vec<&str> = lines("a 1\nb{ 2\n\nc{d=\"\\\"\"} 3\nd NaN").map(|line| line.name).collect();
        assert_eq!(names, ["a", "c", "d"]);
    }

    /// A sample as a server writes it: labels, and blanks where the formats allow them.
    fn written(name: &str, labels: &[(String, String)], value: f64, blank: &str) -> String {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, text)| format!("{blank}{name}{blank}={blank}\"{}\"{blank}", escaped(text)))
            .collect();
        format!("{name}{{{}}} {value}", labels.join(","))
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(200))]

        #[test]
        fn what_is_written_is_read(
            name in "[a-z_:][a-z0-9_:]{0,8}",
            labels in vec(("[a-z_][a-z0-9_]{0,5}", "[^\r]{0,12}"), 0..5),
            value in any::<f64>().prop_filter("a number", |value| !value.is_nan()),
            blank in "[ \t]{0,2}",
        ) {
            let text = written(&name, &labels, value, &blank);
            let line = only(&text).expect("a sample");
            prop_assert_eq!((line.name, line.value.to_bits()), (name.as_str(), value.to_bits()));
            prop_assert!(line.labels.names().eq(labels.iter().map(|(name, _)| name.as_str())));
            for (name, _) in &labels {
                let first = labels.iter().find(|(other, _)| other == name).expect("itself");
                let read = line.labels.get(name);
                prop_assert_eq!(read.as_deref(), Some(first.1.as_str()));
            }
        }

        #[test]
        fn what_is_read_stands_in_the_body(body in ".{0,40}|([a-z{}=\"\\\\,0-9 #]{0,60}\n){0,4}") {
            for line in lines(&body) {
                prop_assert!(body.contains(line.name) && !line.name.is_empty());
                let values = body.split_ascii_whitespace().filter_map(|word| word.rsplit('}').next()?.parse().ok());
                prop_assert!(values.into_iter().any(|value: f64| value.to_bits() == line.value.to_bits()));
                for name in line.labels.names() {
                    prop_assert!(line.labels.get(name).is_some() && body.contains(name));
                }
            }
        }
    }
}
