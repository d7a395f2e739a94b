//! The order of an exposition: its families by name and the series of each by their labels, so that two scrapes differ only
//! where something has changed. The order of a registry's series is another one in each process.

use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};
use prometheus_client::registry::Registry;

use super::{Format, lines, text_from_openmetrics};

/// All metrics of `registry` in order. In OpenMetrics the text ends with `# EOF`, so it must be the last part of a response.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it takes every write")]
pub fn encode_sorted(registry: &Registry, format: Format) -> String {
    let mut families = Families { format, pending: String::new(), done: Vec::new() };
    prometheus_client::encoding::text::encode(&mut families, registry).expect("it takes every write");
    families.end()
}

/// The last line of OpenMetrics.
const END: &str = "# EOF\n";

/// A family of an exposition.
struct FamilyText<'t> {
    name: &'t str,
    lines: Range<usize>,
    /// The last sample so far; empty before the first.
    last: &'t str,
    is_sorted: bool,
}

/// An exposition in order.
#[must_use]
pub fn sorted(exposition: &str) -> String {
    let (body, end) = exposition.strip_suffix(END).map_or((exposition, ""), |body| (body, END));
    let mut families: Vec<FamilyText<'_>> = Vec::new();
    for lines in lines(body) {
        let line = &body[lines.clone()];
        // HELP, TYPE and UNIT have four letters each.
        let head = line.strip_prefix("# ").and_then(|head| head.get(5..));
        let is_of = |name: &str| {
            head.is_none_or(|head| head.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
        };
        match families.last_mut() {
            Some(family) if is_of(family.name) => {
                family.lines.end = lines.end;
                if head.is_none() {
                    let last = family.last;
                    family.is_sorted &= last.is_empty() || last <= line || differ_by_le(last, line);
                    family.last = line;
                }
            }
            _ => {
                let name =
                    head.map_or("", |head| &head[..memchr(b' ', head.as_bytes()).unwrap_or(head.len())]);
                let last = if head.is_none() { line } else { "" };
                families.push(FamilyText { name, lines, last, is_sorted: true });
            }
        }
    }
    families.sort_by_key(|family| family.name);
    let mut text = String::with_capacity(exposition.len());
    for FamilyText { lines, is_sorted, .. } in families {
        // Most families have one series, or a table has put them in order.
        if is_sorted {
            text.push_str(&body[lines]);
        } else {
            push_sorted(&mut text, &body[lines]);
        }
    }
    text + end
}

/// How a family of a registry begins.
const HELP: &str = "# HELP ";

/// The families of a registry, one by one as they are written: of ten thousand groups, the whole text is large.
struct Families {
    format: Format,
    /// The family that is being written, in OpenMetrics.
    pending: String,
    /// Those before it, in `format` and in order.
    done: Vec<String>,
}

impl fmt::Write for Families {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // A value or a help text that reads like this does not stand at the start of a line.
        if part.starts_with(HELP) && self.pending.ends_with('\n') {
            self.close();
        }
        self.pending.push_str(part);
        Ok(())
    }
}

impl Families {
    /// Ends the family that is being written.
    fn close(&mut self) {
        let family = match self.format {
            Format::OpenMetrics100 => sorted(&self.pending),
            Format::Text004 => sorted(&text_from_openmetrics(&self.pending)),
        };
        self.done.push(family);
        self.pending.clear();
    }

    fn end(mut self) -> String {
        self.pending.truncate(self.pending.strip_suffix(END).map_or(self.pending.len(), str::len));
        self.close();
        let end = if self.format == Format::OpenMetrics100 { END } else { "" };
        let Self { pending, mut done, .. } = self;
        drop(pending);
        // Each begins with its name.
        done.sort_unstable();
        let mut text = String::with_capacity(done.iter().map(String::len).sum::<usize>() + end.len());
        text.extend(done);
        text + end
    }
}

/// Whether two samples are the same up to the value of their label `le`, as the buckets of a histogram are.
fn differ_by_le(one: &str, other: &str) -> bool {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let same = &one.as_bytes()[..same];
    let before = memrchr(b'"', same).map(|quote| &same[..quote]);
    before.is_some_and(|before| before.ends_with(b"{le=") || before.ends_with(b",le="))
}

/// Appends a family with its series sorted.
fn push_sorted(text: &mut String, family: &str) {
    let (heads, mut samples): (Vec<&str>, Vec<&str>) =
        family.split_inclusive('\n').partition(|line| line.starts_with('#'));
    if heads.iter().any(|head| head.starts_with("# TYPE ") && head.ends_with("histogram\n")) {
        // The lines with the same labels but `le` stay in their order.
        samples.sort_by(|one, other| labels_without_le(one).cmp(labels_without_le(other)));
    } else {
        samples.sort_unstable();
    }
    text.extend(heads.into_iter().chain(samples));
}

/// The labels of a sample, each as `name="value"`.
fn labels_without_le(sample: &str) -> impl Iterator<Item = &str> {
    let mut rest = sample.split_once('{').map_or("", |(_, rest)| rest);
    let labels = std::iter::from_fn(move || {
        let (name, value) = rest.split_once("=\"")?;
        let mut is_escaped = false;
        let length = value.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let label;
        (label, rest) = rest.split_at(name.len() + 2 + length + 1);
        // Behind the last one stands a bracket.
        rest = rest.strip_prefix(',').unwrap_or_default();
        Some(label)
    });
    labels.filter(|label| !label.starts_with("le="))
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;

    use super::super::encode_registry;
    use super::*;

    #[test]
    fn families_are_sorted_by_name_and_series_by_labels() {
        let exposition = "\
# HELP b B.
# TYPE b gauge
b{k=\"y\"} 2
b{k=\"x, {le=\\\"}\"} 1
# TYPE a histogram
a_bucket{le=\"1.0\",k=\"y\"} 1
a_bucket{le=\"+Inf\",k=\"y\"} 2
a_sum{k=\"y\"} 3
a_bucket{k=\"x\",le=\"1.0\"} 4
a_bucket{k=\"x\",le=\"+Inf\"} 5
a_sum{k=\"x\"} 6
a_bucket{k=\"w\\\",le=\",le=\"+Inf\",l=\"2\"} 7
a_bucket{k=\"w\\\",le=\",le=\"1.0\",l=\"1\"} 8
# EOF
";
        let expected = "\
# TYPE a histogram
a_bucket{k=\"w\\\",le=\",le=\"1.0\",l=\"1\"} 8
a_bucket{k=\"w\\\",le=\",le=\"+Inf\",l=\"2\"} 7
a_bucket{k=\"x\",le=\"1.0\"} 4
a_bucket{k=\"x\",le=\"+Inf\"} 5
a_sum{k=\"x\"} 6
a_bucket{le=\"1.0\",k=\"y\"} 1
a_bucket{le=\"+Inf\",k=\"y\"} 2
a_sum{k=\"y\"} 3
# HELP b B.
# TYPE b gauge
b{k=\"x, {le=\\\"}\"} 1
b{k=\"y\"} 2
# EOF
";
        assert_eq!(sorted(exposition), expected);
        assert_eq!(sorted(expected), expected);
        assert_eq!(sorted(""), "");
    }

    #[test]
    fn two_processes_write_the_same_order() {
        // Each family hashes with a seed of its own.
        let write = || {
            let family = Family::<[(&'static str, String); 1], Counter>::default();
            for number in 0..50 {
                drop(family.get_or_create(&[("n", format!("{number:02}"))]));
            }
            let mut registry = Registry::default();
            registry.register("calls", "Calls", family);
            encode_sorted(&registry, Format::Text004)
        };
        assert_eq!(write(), write());
        assert_eq!(write().lines().nth(2), Some("calls_total{n=\"00\"} 0"));
    }

    #[test]
    fn a_registry_is_written_in_order_as_a_whole_would_be() {
        let mut registry = Registry::default();
        // Texts that read like the beginning of a family, or like the end of all.
        for (name, help) in [("zones", "# HELP zones # EOF"), ("calls", "Calls"), ("bytes", "Bytes")] {
            let family = Family::<[(&'static str, String); 1], Counter>::default();
            for value in ["# HELP x", "# EOF", "a", "\n# HELP y"] {
                family.get_or_create(&[("n", value.to_owned())]).inc();
            }
            registry.register(name, help, family);
        }
        for format in [Format::Text004, Format::OpenMetrics100] {
            let whole = encode_sorted(&registry, format);
            assert_eq!(whole, sorted(&encode_registry(&registry, format)));
            assert_eq!(whole.lines().filter(|line| line.starts_with(HELP)).count(), 3);
        }
        let empty =
            [Format::Text004, Format::OpenMetrics100].map(|it| encode_sorted(&Registry::default(), it));
        assert_eq!(empty, ["", END]);
    }
}
