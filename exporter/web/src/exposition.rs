//! The two text formats of metrics: content negotiation, the response, and the encoding of a registry in either format.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;

use axum::body::Body;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use memchr::{memchr, memchr_iter};
mod order;

pub use order::{by_name, encode_registry};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
    /// Prometheus text 0.0.4.
    Text004,
}

impl Format {
    /// The `Content-Type` of this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// How specifically a media range names this format, from 0 for `*/*`; `None` if it does not match.
    fn specificity(self, range: &MediaRange<'_>) -> Option<u8> {
        let (kind, subtype, version) = match self {
            Self::OpenMetrics100 => ("application", "openmetrics-text", "1.0.0"),
            Self::Text004 => ("text", "plain", "0.0.4"),
        };
        let is = |ours: &str, asked: &str| ours.eq_ignore_ascii_case(asked);
        match (range.kind, range.subtype, range.version) {
            ("*", "*", None) => Some(0),
            (asked, "*", None) if is(kind, asked) => Some(1),
            (asked, sub, None) if is(kind, asked) && is(subtype, sub) => Some(2),
            (asked, sub, Some(v)) if is(kind, asked) && is(subtype, sub) && v == version => Some(3),
            _ => None,
        }
    }
}

struct MediaRange<'h> {
    kind: &'h str,
    subtype: &'h str,
    version: Option<&'h str>,
    quality: f32,
}

impl<'h> MediaRange<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self { kind, subtype, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("q") => range.quality = quality(value),
                name if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }
}

/// A malformed weight does not refuse a format, but loses against every other weight.
fn quality(text: &str) -> f32 {
    text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.001)
}

/// The format that `Accept` asks for. The most specific range that matches a format gives its weight; the greater weight
/// wins, then the more specific range, then the earlier one. Without a preference the format is text 0.0.4.
#[must_use]
pub fn negotiate(headers: &HeaderMap) -> Format {
    let accepted = all(headers, ACCEPT);
    let ranges: Vec<MediaRange<'_>> = accepted.split(',').filter_map(MediaRange::parse).collect();
    let rank = |format: Format| {
        let fits = ranges
            .iter()
            .enumerate()
            .filter_map(|(at, range)| Some((format.specificity(range)?, at, range.quality)));
        // Of equally specific ranges, the first one counts.
        let (fit, at, quality) = fits.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        (quality > 0.0).then_some((quality, fit, at))
    };
    match (rank(Format::OpenMetrics100), rank(Format::Text004)) {
        (Some(_), None) => Format::OpenMetrics100,
        (None, _) => Format::Text004,
        (Some((q, fit, at)), Some((text_q, text_fit, text_at))) => {
            // One wildcard that matches both formats gives them the same position: text wins.
            let earlier = at < text_at;
            let ahead = q > text_q
                || (q.total_cmp(&text_q).is_eq() && (fit > text_fit || (fit == text_fit && earlier)));
            if ahead { Format::OpenMetrics100 } else { Format::Text004 }
        }
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = all(headers, ACCEPT_ENCODING);
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            if !name.trim().eq_ignore_ascii_case(wanted) {
                return None;
            }
            let q = parameters.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            Some(q.map_or(1.0, |(_, value)| quality(value.trim())))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// All values of a header that may be repeated, as one list.
fn all(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

/// The response to a scrape with these request headers, in the format and the encoding that they ask for.
pub fn respond(headers: &HeaderMap, write: impl FnOnce(Format) -> String) -> Response {
    let format = negotiate(headers);
    let text = write(format);
    let mut response = if accepts_gzip(headers) {
        let mut response = Response::new(Body::from(gzip(text.as_bytes())));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        Response::new(Body::from(text))
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

thread_local! {
    /// Each thread reuses its compressor, because creating one takes as long as compressing an exposition (70 µs each), and
    /// tower-http's layer would create one per response. The fastest level already shrinks an exposition to a tenth.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// The header of a gzip member without a file name and a time, of an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes.len() / 6 + 64);
    packed.extend(GZIP_HEADER);
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        loop {
            let read = usize::try_from(deflate.total_in()).expect("no more is read than `bytes` holds");
            let status = deflate.compress_vec(&bytes[read..], &mut packed, FlushCompress::Finish);
            if status.expect("compression does not fail") == Status::StreamEnd {
                break;
            }
            packed.reserve(packed.capacity());
        }
    });
    let mut crc = Crc::new();
    crc.update(bytes);
    packed.extend(crc.sum().to_le_bytes());
    packed.extend(crc.amount().to_le_bytes());
    packed
}

/// Where the lines of a text are, with their ends. (`str::lines` takes several times as long.)
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let rest = (!text.is_empty() && !text.ends_with('\n')).then_some(text.len());
    let ends = memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).chain(rest);
    ends.scan(0, |start, end| Some(std::mem::replace(start, end)..end))
}

/// Converts OpenMetrics to text 0.0.4. OpenMetrics names families and text 0.0.4 names samples, so HELP and TYPE of a
/// counter get `_total` and those of an info get `_info`. What 0.0.4 does not have is omitted or gets the nearest type.
fn text_from_openmetrics(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    let mut family = "";
    for line in lines(openmetrics).map(|line| openmetrics[line].trim_end_matches('\n')) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            family = name;
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "gauge" | "histogram" | "summary" => ("", kind),
                "gaugehistogram" => ("", "histogram"),
                "stateset" => ("", "gauge"),
                _ => ("", "untyped"),
            };
            if let Some((_, help)) = help.take_if(|(of, _)| *of == name) {
                let help = help.replace("\\\"", "\"");
                writeln!(text, "# HELP {name}{suffix} {help}").expect("a string takes every write");
            }
            writeln!(text, "# TYPE {name}{suffix} {kind}").expect("a string takes every write");
        } else if !line.starts_with('#') && !is_created(line, family) {
            text.push_str(without_exemplar(line));
            text.push('\n');
        }
    }
    text
}

fn is_created(sample: &str, family: &str) -> bool {
    sample
        .strip_prefix(family)
        .and_then(|rest| rest.strip_prefix("_created"))
        .is_some_and(|rest| rest.starts_with(['{', ' ']))
}

/// The sample without its exemplar, which follows ` # ` outside of label values.
fn without_exemplar(sample: &str) -> &str {
    if memchr(b'#', sample.as_bytes()).is_none() {
        return sample;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in sample.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => return sample[..at].trim_end(),
            _ => {}
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Registry;
    use prometheus_client::registry::Unit;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::Read as _;
    use test_case::test_case;

    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    #[test_case(&[], Format::Text004 ; "absent")]
    #[test_case(&[""], Format::Text004 ; "empty")]
    #[test_case(&["*/*"], Format::Text004 ; "curl")]
    #[test_case(&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Text004 ; "a browser")]
    #[test_case(&["image/png"], Format::Text004 ; "nothing we have")]
    #[test_case(&["gibberish;;=,/"], Format::Text004 ; "no media range")]
    #[test_case(&[PROMETHEUS_2], Format::OpenMetrics100 ; "prometheus 2")]
    #[test_case(&[PROMETHEUS_3], Format::OpenMetrics100 ; "prometheus 3")]
    #[test_case(&["application/openmetrics-text"], Format::OpenMetrics100 ; "no version")]
    #[test_case(&["Application/OpenMetrics-Text; Version=\"1.0.0\""], Format::OpenMetrics100 ; "another case, quoted")]
    #[test_case(&["application/openmetrics-text;version=0.0.1"], Format::Text004 ; "a version we lack")]
    #[test_case(&["application/openmetrics-text;version=0.0.1,*/*;q=0.1"], Format::Text004 ; "a version we lack, or anything")]
    #[test_case(&["application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.8"], Format::Text004 ; "text preferred")]
    #[test_case(&["text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0"], Format::Text004 ; "alike, text first")]
    #[test_case(&["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4"], Format::OpenMetrics100 ; "alike, openmetrics first")]
    #[test_case(&["application/openmetrics-text,*/*"], Format::OpenMetrics100 ; "named beats the wildcard")]
    #[test_case(&["application/openmetrics-text;q=0,*/*"], Format::Text004 ; "refused")]
    #[test_case(&["text/plain;q=0,*/*"], Format::OpenMetrics100 ; "text refused")]
    #[test_case(&["text/plain;q=0.3", "application/openmetrics-text;version=1.0.0;q=0.6"], Format::OpenMetrics100 ; "two header lines")]
    #[test_case(&["application/openmetrics-text;q=x,text/plain;q=0.1"], Format::Text004 ; "an unreadable weight")]
    fn the_accept_header_decides(accept: &[&str], expected: Format) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().expect("a header value"));
        }
        assert_eq!(negotiate(&headers), expected);
    }

    #[test_case(None, false ; "absent")]
    #[test_case(Some("gzip"), true ; "gzip")]
    #[test_case(Some("deflate, GZip;q=0.5"), true ; "weighted, another case")]
    #[test_case(Some("gzip;q=0"), false ; "refused")]
    #[test_case(Some("gzip; q=0, *"), false ; "refused before anything")]
    #[test_case(Some("*"), true ; "anything")]
    #[test_case(Some("identity, br"), false ; "others")]
    fn gzip_only_if_it_is_accepted(accept: Option<&'static str>, expected: bool) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept));
        }
        let response = respond(&headers, |_| "a 1\n".repeat(100));
        assert_eq!(response.headers().get(CONTENT_ENCODING).is_some(), expected);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    }

    #[test]
    fn gzip_unpacks_to_what_was_packed() {
        // Noise does not shrink, so it needs more space than was reserved.
        let noise: String = (0_u32..30_000)
            .map(|n| char::from(b' ' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 95))
            .collect();
        for text in [String::new(), "jvb_up 1\n".repeat(1000), noise, "a".to_owned()] {
            let mut unpacked = String::new();
            flate2::read::GzDecoder::new(&*gzip(text.as_bytes()))
                .read_to_string(&mut unpacked)
                .expect("gzip");
            assert_eq!(unpacked, text);
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc_by(3);
        registry.register("calls", "Calls", counter);
        registry.register_with_unit("took", "Time", Unit::Seconds, {
            let histogram = Histogram::new([0.5, 1.0]);
            histogram.observe(0.7);
            histogram
        });
        registry.register("level", "Level", Gauge::<i64>::default());
        registry.register("build", "Build", Info::new([("text", "a # \"b\"")]));
        registry
    }

    #[test]
    fn a_registry_in_text_004() {
        let expected = "\
# HELP build_info Build.
# TYPE build_info gauge
build_info{text=\"a # \\\"b\\\"\"} 1
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total 3
# HELP level Level.
# TYPE level gauge
level 0
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_sum 0.7
took_seconds_count 1
took_seconds_bucket{le=\"0.5\"} 0
took_seconds_bucket{le=\"1.0\"} 1
took_seconds_bucket{le=\"+Inf\"} 1
";
        assert_eq!(encode_registry(&registry(), Format::Text004), expected);
    }

    #[test]
    fn a_registry_in_openmetrics_ends_with_eof() {
        let text = encode_registry(&registry(), Format::OpenMetrics100);
        assert!(
            text.contains("# TYPE calls counter\n") && text.contains("# UNIT took_seconds seconds\n"),
            "{text}"
        );
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn parts_that_only_openmetrics_has_are_omitted() {
        let openmetrics = "\
# HELP a What \\\"a\\\" is.
# TYPE a counter
a_total{k=\"x # y\"} 1 # {trace=\"1\"} 0.5 1.5
a_created{k=\"x # y\"} 1000
# TYPE b unknown
b 2
# TYPE c_created gauge
c_created 3
# EOF
";
        let expected = "\
# HELP a_total What \"a\" is.
# TYPE a_total counter
a_total{k=\"x # y\"} 1
# TYPE b untyped
b 2
# TYPE c_created gauge
c_created 3
";
        assert_eq!(text_from_openmetrics(openmetrics), expected);
    }

    /// Headers with these values; `None` if one is no value of a header.
    fn accepting(values: &[Vec<u8>]) -> Option<HeaderMap> {
        let values = values.iter().map(|value| Some((ACCEPT, HeaderValue::from_bytes(value).ok()?)));
        values.collect()
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(500))]

        #[test]
        fn only_what_is_accepted_is_sent(
            values in vec(jitsi_inputs::mutated(vec![
                b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1".to_vec(),
                b"application/*;q=0, text/*".to_vec(),
            ]), 0..3)
        ) {
            let Some(mut headers) = accepting(&values) else { return Ok(()) };
            let asked = all(&headers, ACCEPT).to_ascii_lowercase();
            if negotiate(&headers) == Format::OpenMetrics100 {
                prop_assert!(asked.contains("openmetrics-text") || asked.contains("/*"), "{asked}");
            }
            headers.extend(values.iter().filter_map(|value| Some((ACCEPT_ENCODING, HeaderValue::from_bytes(value).ok()?))));
            prop_assert!(!accepts_gzip(&headers) || asked.contains("gzip") || asked.contains('*'), "{asked}");
        }

        #[test]
        fn the_greater_weight_wins(openmetrics in 1..=1000u32, text in 1..=1000u32) {
            let accept = format!(
                "application/openmetrics-text;version=1.0.0;q={:.3}, text/plain;version=0.0.4;q={:.3}",
                f64::from(openmetrics) / 1000.0, f64::from(text) / 1000.0
            );
            let headers = accepting(&[accept.into_bytes()]).expect("a header");
            let wins = if openmetrics >= text { Format::OpenMetrics100 } else { Format::Text004 };
            prop_assert_eq!(negotiate(&headers), wins);
        }
    }
}
