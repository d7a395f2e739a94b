//! The order of an exposition: its families by name and the series of each by their labels, so that two scrapes differ only
//! where something has changed. The order of a registry's series is another one in each process.

use std::fmt;

use memchr::{memmem, memrchr};
use prometheus_client::registry::Registry;

use super::{Format, lines, text_from_openmetrics};

/// All metrics of `registry` in order. In OpenMetrics the text ends with `# EOF`, so it must be the last part of a response.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it takes every write")]
pub fn encode_registry(registry: &Registry, format: Format) -> String {
    let mut families = Families { format, pending: String::new(), done: Vec::new() };
    prometheus_client::encoding::text::encode(&mut families, registry).expect("it takes every write");
    families.end()
}

/// An exposition with its families by name. Each must have a help text.
#[must_use]
#[expect(clippy::stable_sort_primitive, reason = "it takes little time where most are in order")]
pub fn by_name(exposition: &str) -> String {
    let (body, end) = exposition.strip_suffix(END).map_or((exposition, ""), |body| (body, END));
    let starts = memmem::find_iter(body.as_bytes(), "\n# HELP ").map(|at| at + 1).chain([body.len()]);
    let mut families: Vec<&str> =
        starts.scan(0, |start, next| Some(&body[std::mem::replace(start, next)..next])).collect();
    // Each begins with its name.
    families.sort();
    let mut text = String::with_capacity(exposition.len());
    text.extend(families);
    text + end
}

/// The last line of OpenMetrics.
const END: &str = "# EOF\n";
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
            Format::OpenMetrics100 => self.pending.clone(),
            Format::Text004 => text_from_openmetrics(&self.pending),
        };
        self.done.push(sorted(family));
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

/// A family with its series by their labels.
fn sorted(family: String) -> String {
    let samples = || lines(&family).map(|line| &family[line]).filter(|line| !line.starts_with('#'));
    // Most families have one series, or a table has put them in order.
    if samples().zip(samples().skip(1)).all(|(one, next)| one <= next || differ_by_le(one, next)) {
        return family;
    }
    let mut text = String::with_capacity(family.len());
    push_sorted(&mut text, &family);
    text
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

    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn families_are_sorted_by_name_and_series_by_labels() {
        let exposition = "\
# HELP b B.
# TYPE b gauge
b{k=\"y\"} 2
b{k=\"x, {le=\\\"}\"} 1
# HELP a A.
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
# HELP a A.
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
        let sorted = |exposition: &str, format| {
            let mut families = Families { format, pending: String::new(), done: Vec::new() };
            exposition
                .split_inclusive('\n')
                .for_each(|line| families.write_str(line).expect("it takes every write"));
            families.end()
        };
        assert_eq!(sorted(exposition, Format::OpenMetrics100), expected);
        assert_eq!(sorted(expected, Format::OpenMetrics100), expected);
        assert_eq!(sorted(exposition, Format::Text004), text_from_openmetrics(expected));
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
            encode_registry(&registry, Format::Text004)
        };
        assert_eq!(write(), write());
        assert_eq!(write().lines().nth(2), Some("calls_total{n=\"00\"} 0"));
    }

    #[test]
    fn parts_of_an_exposition_are_put_together_by_name() {
        let [b, a, ab] = ["b", "a", "a_b"].map(|name| {
            format!(
                "# HELP {name} Of {name}.\n# TYPE {name} gauge\n{name}{{k=\"\\n# HELP x\"}} 1\n{name} 2\n"
            )
        });
        for end in ["", END] {
            assert_eq!(by_name(&format!("{b}{ab}{a}{end}")), format!("{a}{ab}{b}{end}"));
            assert_eq!(by_name(end), end);
        }
    }

    #[test]
    fn a_text_that_reads_like_the_beginning_of_a_family_is_none() {
        let mut registry = Registry::default();
        for (name, help) in [("zones", "# HELP zones # EOF"), ("calls", "Calls")] {
            let family = Family::<[(&'static str, String); 1], Counter>::default();
            for value in ["# HELP x", "# EOF", "\n# HELP y"] {
                family.get_or_create(&[("n", value.to_owned())]).inc();
            }
            registry.register(name, help, family);
        }
        let expected = "\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{n=\"# EOF\"} 1
calls_total{n=\"# HELP x\"} 1
calls_total{n=\"\\n# HELP y\"} 1
# HELP zones_total # HELP zones # EOF.
# TYPE zones_total counter
zones_total{n=\"# EOF\"} 1
zones_total{n=\"# HELP x\"} 1
zones_total{n=\"\\n# HELP y\"} 1
";
        assert_eq!(encode_registry(&registry, Format::Text004), expected);
        let empty =
            [Format::Text004, Format::OpenMetrics100].map(|it| encode_registry(&Registry::default(), it));
        assert_eq!(empty, ["", END]);
    }
}
