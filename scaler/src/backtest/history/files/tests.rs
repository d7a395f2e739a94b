use test_case::test_case;

use super::*;
use crate::config;

fn config(selector: &str) -> Config {
    let text = format!(
        "prometheus: {{url: 'http://127.0.0.1:9090'}}
fleets:
  - name: jvb
    component: jvb
    asg: {{{selector}}}
    policies:
      - {{name: load, expr: load, measures: load, scale_out: {{when: '> 60', periods: 2, add: 1}}}}
"
    );
    config::parse(&text, Path::new("")).expect("a valid configuration")
}

const ONE: &str = "regions: [us-east-1], names: [a]";

/// What the files hold of each group: its region, the values of its policy, and how many served.
type Found = Vec<(String, Option<String>, Vec<(i64, f64)>, Vec<(i64, f64)>)>;

fn read(selector: &str, texts: &[&str], meanings: &[&str]) -> Result<Found, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(selector);
    let mut files = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let path = folder.path().join(format!("{place}.txt"));
        std::fs::write(&path, text).expect("a file");
        let named = meanings.iter().map(|meaning| format!("{}:{meaning}", path.display()).parse());
        files.extend(named.collect::<Result<Vec<HistoryFile>, _>>()?);
        files.push(HistoryFile { path, meaning: None });
    }
    let chain = |error: FileError| {
        let folder = format!("{}/", folder.path().display());
        crate::telemetry::chain(&error).replace(&folder, "")
    };
    let files = Files::read(&files, &[&config]).map_err(chain)?;
    let span = files.span().ok_or("no value")?;
    let known = |column: &Column| column.known().map(|(at, value)| (at.unix(), value)).collect();
    Ok(files
        .groups(&config.fleets[0], span)
        .iter()
        .map(|it| {
            (
                it.name.to_string(),
                it.region.as_ref().map(ToString::to_string),
                known(&it.series[0]),
                known(&it.serving),
            )
        })
        .collect())
}

#[test]
fn csv_has_a_line_for_each_value() {
    let text = "\u{feff}time, asg, series, value\n2026-11-02T12:00:00Z,a,load,5\n1793620860,a,load,NaN\n1793620920,a,load,7.5\n\
                2026-11-02T12:00:00Z,a,instances,3\n2026-11-02T12:02:00Z,a,instances,4\n2026-11-02T12:01:00Z,a,instances,\n";
    let start = 1_793_620_800;
    assert_eq!(
        read(ONE, &[text], &[]).expect("a file"),
        [(
            "a".to_owned(),
            Some("us-east-1".to_owned()),
            // The shortest distance is two minutes: a value stands for that long.
            vec![(start, 5.0), (start + 60, 5.0), (start + 120, 7.5), (start + 180, 7.5)],
            vec![(start, 3.0), (start + 60, 3.0), (start + 120, 4.0), (start + 180, 4.0)],
        )]
    );
}

#[test]
fn csv_may_tell_regions_apart() {
    let text = "time,asg,region,series,value\n60,a,eu-west-1,load,1\n60,a,us-east-1,load,2\n120,a,us-east-1,load,3\n";
    let found = read("regions: [us-east-1, eu-west-1], names: [a]", &[text], &[]).expect("a file");
    let loads: Vec<_> =
        found.iter().map(|(_, region, load, _)| (region.clone().unwrap_or_default(), load[0].1)).collect();
    assert_eq!(loads, [("eu-west-1".to_owned(), 1.0), ("us-east-1".to_owned(), 2.0)]);
}

/// CloudWatch names a datapoint by the beginning of its period, at whose end it is known.
#[test_case(&["m1=load", "m2=instances@a"], "m1"; "by its id")]
#[test_case(&["m2=instances"], "load"; "by its label")]
fn cloudwatchs_results_are_named(meanings: &[&str], label: &str) {
    let text = format!(
        r#"{{"Messages":[],"MetricDataResults":[
        {{"Id":"m1","Label":"{label}","StatusCode":"Complete",
         "Timestamps":["2026-11-02T12:05:00+00:00","2026-11-02T12:00:00+00:00"],"Values":[70.0,50.0]}},
        {{"Id":"m2","Label":"GroupInServiceInstances","Timestamps":["2026-11-02T12:00:00Z"],"Values":[3]}}]}}"#
    );
    let found = read(ONE, &[&text], meanings).expect("a file");
    let [(_, _, load, serving)] = found.as_slice() else { panic!("{found:?}") };
    let minutes: Vec<_> = load.iter().map(|(at, value)| ((at - 1_793_620_800) / 60, *value)).collect();
    let expected: Vec<_> =
        (1..=5).map(|minute| (minute, 50.0)).chain((6..=10).map(|minute| (minute, 70.0))).collect();
    assert_eq!(minutes, expected, "a datapoint of five minutes stands for five of a minute");
    assert_eq!(serving.len(), 1);
}

#[test_case("time,asg,value\n", &[], "understand 0.txt: line 1: the header must have time,asg,series,value, and may have region"; "a header")]
#[test_case("time,asg,series,value\nnoon,a,load,1\n", &[], "understand 0.txt: line 2: \"noon\" is no time; write RFC 3339 or seconds since 1970"; "a time")]
#[test_case("time,asg,series,value\n60,a,load,1\n120,a,load,much\n", &[], "understand 0.txt: line 3: \"much\" is no number"; "a number")]
#[test_case("time,asg,series,value\n60,a,laod,1\n", &[], "understand 0.txt: line 2: \"laod\" is no policy of the configuration; there are instances, load"; "a series")]
#[test_case("time,asg,series,value\n60,a\n", &[], "understand 0.txt: line 2: it has another number of columns than the header, or is not UTF-8"; "columns")]
#[test_case("time,asg,series,value\n", &["m1=load"], "understand 0.txt: ID=POLICY is for CloudWatch's JSON, and this is not; a CSV file has time,asg,series,value"; "a meaning of csv")]
#[test_case(r#"{"MetricDataResults":[{"Id":"m1","Timestamps":[],"Values":[]}]}"#, &[], "understand 0.txt: it is not known which result is which policy; write for example --history FILE:m1=load"; "no meaning")]
#[test_case(r#"{"MetricDataResults":[{"Id":"m1","Timestamps":[],"Values":[]}]}"#, &["m2=load"], "understand 0.txt: it has no result with the Id m2; there are m1"; "a foreign id")]
#[test_case(r#"{"MetricDataResults":[{"Id":"m1","Timestamps":[],"Values":[]}]}"#, &["m1=laod"], "understand 0.txt: laod is no policy of the configuration; there are instances, load"; "a foreign policy")]
#[test_case(r#"{"MetricDataResults":[{"Id":"m1","Timestamps":["2026-11-02T12:00:00Z"],"Values":[]}]}"#, &["m1=load"], "understand 0.txt: m1 has another number of Timestamps than of Values"; "lengths")]
fn a_file_that_cannot_be_used_says_where_and_why(text: &str, meanings: &[&str], expected: &str) {
    assert_eq!(read(ONE, &[text], meanings).map(|_| ()), Err(expected.to_owned()));
}

#[test_case("h.csv", Some(("h.csv", "", "", "")); "a file")]
#[test_case("C:\\h.csv", Some(("C:\\h.csv", "", "", "")); "a colon of the path")]
#[test_case("h.json:m1=load", Some(("h.json", "m1", "load", "")); "a policy")]
#[test_case("h.json:m1=load@prod-jvb", Some(("h.json", "m1", "load", "prod-jvb")); "a policy of a group")]
#[test_case("h.json:m1=", None; "no policy")]
#[test_case("h.json:=load", None; "no id")]
#[test_case("h.json:m1=load@", None; "no group")]
#[test_case("h.json:m1=load@a,m2=instances@a", None; "two in one")]
fn a_file_is_named_with_what_its_results_are(text: &str, expected: Option<(&str, &str, &str, &str)>) {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let file = expected.map(|(path, id, series, group)| HistoryFile {
        path: path.into(),
        meaning: some(id).map(|id| Meaning { id, series: series.to_owned(), group: some(group) }),
    });
    assert_eq!(text.parse().ok(), file);
}

/// A month may come in several files, and in two pages of one query.
#[test]
fn a_series_may_be_in_several_files() {
    let file = |from: i64| {
        let lines =
            (0..3).map(|minute| format!("{},a,load,{minute}\n", from + minute * 60)).collect::<String>();
        format!("time,asg,series,value\n{lines}")
    };
    let found = read(ONE, &[&file(600), &file(0)], &[]).expect("files");
    let moments: Vec<_> = found[0].2.iter().map(|(at, _)| *at).collect();
    assert_eq!(moments, [0, 60, 120, 600, 660, 720]);
}

#[test_case("1793620800000", "is no time"; "milliseconds")]
#[test_case("1e300", "is no time"; "a huge number")]
#[test_case("-1793620800", "it spans 56 years; write times in seconds since 1970, or in RFC 3339"; "a time far from the others")]
fn times_of_another_unit_are_refused(time: &str, expected: &str) {
    let text = format!("time,asg,series,value\n0,a,load,1\n{time},a,load,1\n");
    let error = read(ONE, &[&text], &[]).expect_err("another unit");
    assert!(error.contains(expected), "{error}");
}
