//! Reading an answer of the query API: its envelope, or what a proxy put in its place.
//!
//! Owns how many series and points are kept in memory. An answer with more is read to its end, so that the error can say
//! how many it has, and is refused.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::labels::{Known, Labels};
use super::metrics::{CHECK, Labelled, MOST_POINTS, MOST_SERIES, QueryError, Size};

/// How much of an answer that is not understood is quoted, in characters.
pub(super) const QUOTED: usize = 200;
/// The beginning of an info, which Prometheus 2.48 to 2.52 list among the warnings.
const INFO: &str = "PromQL info:";

/// The envelope of Prometheus and compatible servers.
#[derive(Deserialize)]
pub(super) struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// How VictoriaMetrics marks an answer that lacks a part of its data.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: Kind,
    result: Elements,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Matrix,
    Vector,
    Scalar,
    String,
}

/// The result of a query.
#[derive(Default)]
struct Elements {
    /// The series of a matrix or of a vector, up to [`MOST_SERIES`] of them with up to [`MOST_POINTS`] points together.
    series: Vec<Labelled>,
    /// Their labels.
    known: Known,
    /// How many series there are.
    count: usize,
    /// How many points they have together.
    points: usize,
    /// How many elements there are, of any kind.
    length: usize,
    /// The moment and the value of a scalar: its first element and its second one.
    moment: Option<f64>,
    value: Option<Value>,
}

/// One element of a result.
enum Element {
    Series(RawSeries),
    Number(f64),
    Text(Value),
}

/// A series of a matrix, which has `values`, or of a vector, which has one `value`.
#[derive(Deserialize)]
struct RawSeries {
    metric: Labels,
    #[serde(default)]
    values: Points,
    /// Absent for native histograms, which have no single value.
    value: Option<(f64, Value)>,
}

/// The finite points of a series.
#[derive(Default)]
struct Points {
    /// Up to [`MOST_POINTS`] of them.
    list: Vec<(f64, f64)>,
    /// How many there are, those that are not finite included.
    count: usize,
}

/// A value, which comes as text. `None` unless it is finite.
struct Value(Option<f64>);

/// Turns what came into series. `head` is the beginning of the body, and `envelope` the whole of it, if it is one.
pub(super) fn understand(
    expr: &str,
    status: StatusCode,
    head: &[u8],
    envelope: Option<Envelope>,
) -> Result<Vec<Labelled>, QueryError> {
    let foreign = || QueryError::Foreign {
        expr: expr.to_owned(),
        status: status.as_u16(),
        body: in_one_line(&String::from_utf8_lossy(head)),
        remedy: CHECK,
    };
    let mut envelope = envelope.ok_or_else(foreign)?;
    if envelope.status != "success" {
        return Err(QueryError::Refused {
            expr: expr.to_owned(),
            kind: envelope.error_type.unwrap_or_else(|| format!("HTTP {}", status.as_u16())),
            message: envelope.error.unwrap_or_default(),
        });
    }
    // Mimir and Thanos answer 200 with warnings when a part of the data could not be asked.
    envelope.warnings.retain(|warning| !warning.starts_with(INFO));
    if envelope.is_partial {
        envelope.warnings.push("the server marks it with isPartial".to_owned());
    }
    if !envelope.warnings.is_empty() {
        return Err(QueryError::Partial { expr: expr.to_owned(), warnings: envelope.warnings.join("; ") });
    }
    let Data { kind, result } = envelope.data.ok_or_else(foreign)?;
    let too_large = |size| QueryError::TooLarge { expr: expr.to_owned(), size };
    match (kind, result) {
        (Kind::Matrix | Kind::Vector, Elements { count, .. }) if count > MOST_SERIES => {
            Err(too_large(Size::Series(count)))
        }
        (Kind::Matrix | Kind::Vector, Elements { points, .. }) if points > MOST_POINTS => {
            Err(too_large(Size::Points(points)))
        }
        (Kind::Matrix | Kind::Vector, Elements { series, count, length, .. }) if count == length => {
            Ok(series)
        }
        (Kind::Scalar, Elements { length: 2, moment: Some(at), value: Some(Value(value)), .. }) => {
            let points = value.map(|value| (at, value)).into_iter().collect();
            Ok(vec![Labelled { labels: Labels::default(), points }])
        }
        _ => Err(foreign()),
    }
}

/// The beginning of a page, without its line breaks.
fn in_one_line(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect()
}

impl Elements {
    fn add(&mut self, element: Element) {
        let place = self.length;
        self.length += 1;
        match element {
            Element::Number(moment) => self.moment = Some(moment).filter(|_| place == 0),
            Element::Text(value) => self.value = Some(value).filter(|_| place == 1),
            Element::Series(RawSeries { metric, values, value }) => {
                self.count += 1;
                self.points += values.count + usize::from(value.is_some());
                let finite = value.and_then(|(at, Value(value))| Some((at, value?)));
                let mut points = values.list;
                points.extend(finite);
                if self.count > MOST_SERIES || self.points > MOST_POINTS {
                    // It will be refused.
                    (self.series, self.known) = (Vec::new(), Known::default());
                } else {
                    points.shrink_to_fit();
                    self.series.push(Labelled { labels: self.known.share(metric), points });
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the result of a query")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
                let mut elements = Elements::default();
                while let Some(element) = seq.next_element()? {
                    elements.add(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Each)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, a number or a text")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                RawSeries::deserialize(MapAccessDeserializer::new(map)).map(Element::Series)
            }

            fn visit_f64<E>(self, number: f64) -> Result<Element, E> {
                Ok(Element::Number(number))
            }

            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit by far")]
            fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
                Ok(Element::Number(number as f64))
            }

            fn visit_str<E>(self, text: &str) -> Result<Element, E> {
                Ok(Element::Text(Value::of(text)))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("points")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Points, A::Error> {
                let mut points = Points::default();
                while let Some((at, Value(value))) = seq.next_element::<(f64, Value)>()? {
                    points.count += 1;
                    points
                        .list
                        .extend(value.map(|value| (at, value)).filter(|_| points.count <= MOST_POINTS));
                }
                Ok(points)
            }
        }

        deserializer.deserialize_seq(Each)
    }
}

impl Value {
    fn of(text: &str) -> Self {
        Self(text.parse().ok().filter(|value: &f64| value.is_finite()))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::of(text))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::*;

    fn read(expr: &str, status: u16, body: &str) -> Result<Vec<Labelled>, QueryError> {
        let status = StatusCode::from_u16(status).expect("a status");
        understand(expr, status, body.as_bytes(), serde_json::from_str(body).ok())
    }

    fn points(body: &str) -> Vec<Vec<(f64, f64)>> {
        read("x", 200, body).expect("an answer").into_iter().map(|it| it.points).collect()
    }

    #[test]
    fn values_come_as_texts_and_only_finite_ones_count() {
        let body = r#"{"status":"success","infos":["harmless"],"data":{"resultType":"matrix","result":[
            {"metric":{"asg":"a"},"values":[[60,"1.5"],[120,"NaN"],[180,"+Inf"],[240,"-Inf"],[300,"2e3"]]}]}}"#;
        assert_eq!(points(body), [[(60.0, 1.5), (300.0, 2000.0)]]);
    }

    #[test_case(r#""warnings":["PromQL info: metric might not be a counter: \"x\" (1:6)"]"#; "Prometheus 2.48 to 2.52")]
    #[test_case(r#""isPartial":false"#; "VictoriaMetrics")]
    fn an_info_or_a_whole_answer_of_another_server_counts(extra: &str) {
        let body =
            format!(r#"{{"status":"success",{extra},"data":{{"resultType":"scalar","result":[60,"7"]}}}}"#);
        assert_eq!(points(&body), [[(60.0, 7.0)]]);
    }

    #[test]
    fn vectors_and_scalars_are_single_points() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{},"value":[60.5,"3"]},{"metric":{"h":"native"},"histogram":[60,{}]}]}}"#;
        assert_eq!(points(vector), [vec![(60.5, 3.0)], vec![]]);
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[60,"7"]}}"#;
        assert_eq!(points(scalar), [[(60.0, 7.0)]]);
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert!(points(empty).is_empty());
    }

    #[test_case("scalar", r#"[60,"7","8"]"#; "a scalar of three")]
    #[test_case("scalar", r#"[60,"7",{"metric":{}}]"#; "a series behind a scalar")]
    #[test_case("scalar", r#"["7",60]"#; "a scalar the wrong way round")]
    #[test_case("scalar", r#"[60,60,"7"]"#; "a scalar of two moments")]
    #[test_case("vector", r#"[60,"7"]"#; "a scalar for a vector")]
    #[test_case("matrix", r#"[{"metric":{},"values":[]},"7"]"#; "a text among series")]
    fn a_result_of_another_shape_is_not_understood(kind: &str, result: &str) {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        assert!(matches!(read("x", 200, &body), Err(QueryError::Foreign { .. })), "{body}");
    }

    #[test_case(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
        "evaluate `x`: prometheus says bad_data: parse error"; "bad data")]
    #[test_case(503, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#,
        "evaluate `x`: prometheus says timeout: query timed out"; "its own timeout")]
    #[test_case(401, "no org id",
        "understand the answer to `x`: HTTP 401, \"no org id\"; check prometheus.url and its authentication"; "plain text")]
    #[test_case(200, "<html>login</html>",
        "understand the answer to `x`: HTTP 200, \"<html>login</html>\"; check prometheus.url and its authentication"; "a login page")]
    #[test_case(200, r#"{"status":"success","warnings":["store down"],"data":{"resultType":"vector","result":[]}}"#,
        "accept a partial answer to `x`: store down"; "half an answer")]
    #[test_case(200, r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#,
        "accept a partial answer to `x`: the server marks it with isPartial"; "half an answer of VictoriaMetrics")]
    #[test_case(200, r#"{"status":"success","warnings":["PromQL info: x","PromQL warning: y"],"data":{"resultType":"vector","result":[]}}"#,
        "accept a partial answer to `x`: PromQL warning: y"; "a warning beside an info")]
    #[test_case(200, r#"{"status":"success","data":{"resultType":"string","result":[0,"a"]}}"#,
        "understand the answer to `x`: HTTP 200, \"{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[0,\"a\"]}}\"; check prometheus.url and its authentication"; "a string")]
    fn an_unusable_answer_is_an_error(status: u16, body: &str, expected: &str) {
        let error = read("x", status, body).expect_err("an error");
        assert_eq!(error.to_string(), expected);
    }

    /// A matrix of so many series with so many points each.
    fn matrix(series: usize, points: usize) -> String {
        let points = vec![r#"[1,"2"]"#; points].join(",");
        let series = vec![format!(r#"{{"metric":{{}},"values":[{points}]}}"#); series].join(",");
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
    }

    #[test_case(MOST_SERIES, 1, None; "as many series as are kept")]
    #[test_case(MOST_SERIES + 1, 1, Some("100001 series, and at most 100000 are read"); "one more series")]
    #[test_case(MOST_SERIES / 10, 100, None; "as many points as are kept")]
    #[test_case(MOST_SERIES / 10 + 1, 100, Some("1000100 points, and at most 1000000 are read"); "more points")]
    #[test_case(1, MOST_POINTS + 1, Some("1000001 points, and at most 1000000 are read"); "in one series")]
    fn an_answer_with_more_than_is_kept_is_refused(series: usize, points: usize, expected: Option<&str>) {
        let answer = read("x", 200, &matrix(series, points)).map(|answer| answer.len());
        match (answer, expected) {
            (Ok(count), None) => assert_eq!(count, series),
            (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (answer, _) => panic!("{answer:?}"),
        }
    }

    /// The points that a body has by the words of the API, read by the letter; `None` unless it is a whole answer.
    fn model(body: &Value) -> Option<Vec<Vec<(f64, f64)>>> {
        let point = |pair: &Value| {
            let value = pair.get(1)?.as_str()?.parse::<f64>().ok()?;
            Some((pair.get(0)?.as_f64()?, value)).filter(|_| value.is_finite())
        };
        if body.get("status")? != "success" || body.get("isPartial").is_some_and(|partial| partial != false) {
            return None;
        }
        if body.get("warnings").is_some_and(|warnings| warnings != &json!([])) {
            return None;
        }
        let data = body.get("data")?;
        match data.get("resultType")?.as_str()? {
            "scalar" => Some(vec![point(data.get("result")?).into_iter().collect()]),
            "matrix" | "vector" => {
                let series = data.get("result")?.as_array()?.iter();
                let points = |series: &Value| {
                    let values = series.get("values").and_then(Value::as_array).into_iter().flatten();
                    values.chain(series.get("value")).filter_map(point).collect()
                };
                Some(series.map(points).collect())
            }
            _ => None,
        }
    }

    fn answers() -> Vec<Value> {
        vec![
            json!({"status": "success", "data": {"resultType": "matrix", "result": [
                {"metric": {"asg": "a", "__name__": "x"}, "values": [[60, "1.5"], [120.5, "NaN"], [180, "+Inf"]]},
                {"metric": {}, "values": []}]}}),
            json!({"status": "success", "infos": ["a"], "data": {"resultType": "vector", "result": [
                {"metric": {"h": "é"}, "value": [60, "-2e3"]}]}}),
            json!({"status": "success", "isPartial": false, "data": {"resultType": "scalar", "result": [60, "7"]}}),
            json!({"status": "error", "errorType": "execution", "error": "x", "warnings": []}),
        ]
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn an_answer_has_the_points_that_were_sent(
            series in vec((btree_map("[a-z_]{1,5}", ".{1,8}", 0..4), vec((any::<i32>(), any::<f64>()), 0..6)), 0..5)
        ) {
            let sent = series.iter().map(|(labels, points)| {
                let values: Vec<Value> = points.iter().map(|(at, value)| json!([at, value.to_string()])).collect();
                json!({"metric": labels, "values": values})
            });
            let body = json!({"status": "success", "data": {"resultType": "matrix", "result": sent.collect::<Vec<_>>()}});
            let read = read("x", 200, &body.to_string()).expect("an answer");
            prop_assert_eq!(read.len(), series.len());
            for (read, (labels, points)) in read.iter().zip(&series) {
                let finite: Vec<(f64, f64)> =
                    points.iter().filter(|(_, value)| value.is_finite()).map(|(at, value)| (f64::from(*at), *value)).collect();
                prop_assert_eq!(&read.points, &finite);
                prop_assert!(labels.iter().all(|(name, value)| read.labels.get(name) == Some(value)));
            }
        }

        #[test]
        fn a_changed_answer_is_read_by_the_letter_or_refused(replaced in jitsi_inputs::replaced(answers())) {
            let body = replaced.after;
            if let Ok(read) = read("x", 200, &body.to_string()) {
                let points: Vec<_> = read.into_iter().map(|series| series.points).collect();
                prop_assert_eq!(Some(points), model(&body), "{}", body);
            }
        }

        #[test]
        fn a_mutated_answer_has_no_value_that_was_not_sent(
            body in jitsi_inputs::mutated(answers().iter().map(|body| body.to_string().into_bytes()).collect())
        ) {
            let body = String::from_utf8_lossy(&body);
            for series in read("x", 200, &body).unwrap_or_default() {
                for (_, value) in series.points {
                    let sent = body.split('"').filter_map(|text| text.parse::<f64>().ok());
                    prop_assert!(value.is_finite() && sent.into_iter().any(|sent| sent.to_bits() == value.to_bits()), "{body}");
                }
            }
        }
    }

    /// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the body.
    const LINEAR: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn no_answer_takes_long() {
        let start = tokio::time::Instant::now();
        for body in jitsi_inputs::long(512 * 1024) {
            let _any = read("x", 200, &String::from_utf8_lossy(&body)).map_err(|error| error.to_string());
        }
        assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
    }
}
