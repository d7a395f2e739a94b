//! The morning as files for `jitsi-scaler backtest`: in them a second is a minute, as on a real day.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use regex_lite::Regex;
use serde_json::Value;

/// What the policies of `scaler.yml` read, and how many instances served: a name in the file, and its PromQL.
const SERIES: &[(&str, &str)] = &[
    ("stress", "asg:jvb_stress:avg"),
    ("pool", "asg:jibri_available:sum"),
    ("instances", "sum by (asg) (jvb_up) - sum by (asg) (jvb_draining) or count by (asg) (jibri_up == 1)"),
];

/// Writes `scaler.yml` and `history.csv` into `folder`, from the last `seconds` of the server at `prometheus`.
pub(crate) async fn write(
    folder: &Path,
    prometheus: &str,
    scaler: &str,
    seconds: usize,
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (series, expr) in SERIES {
        rows.extend(points(prometheus, &format!("({expr})[{seconds}s:1s]"), series).await?);
    }
    let end = rows.iter().map(|row| row.second).max().context("Prometheus has nothing of the morning")?;
    let mut csv = "time,asg,series,value\n".to_owned();
    for Row { second, asg, series, value } in rows {
        csv.push_str(&format!("{},{asg},{series},{value}\n", (end - (end - second) * 60) / 60 * 60));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let config = minutes(scaler)?.replace("{prometheus}", prometheus);
    for (name, text) in [("history.csv", csv), ("scaler.yml", config)] {
        std::fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))?;
    }
    Ok(())
}

struct Row<'a> {
    second: u64,
    asg: String,
    series: &'a str,
    value: String,
}

/// The points of a subquery, named `series`.
async fn points<'a>(prometheus: &str, expr: &str, series: &'a str) -> anyhow::Result<Vec<Row<'a>>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.get(format!("{prometheus}/api/v1/query")).query(&[("query", expr)]);
    let answer: Value = request.send().await?.json().await?;
    let found = answer["data"]["result"].as_array().with_context(|| format!("no result in {answer}"))?;
    let mut rows = Vec::new();
    for one in found {
        let asg = one["metric"]["asg"].as_str().unwrap_or_default();
        for point in one["values"].as_array().into_iter().flatten() {
            let time = point[0].as_f64().context("a time")?.round();
            let second = Duration::try_from_secs_f64(time)?.as_secs();
            let value = point[1].as_str().context("a value")?.to_owned();
            rows.push(Row { second, asg: asg.to_owned(), series, value });
        }
    }
    Ok(rows)
}

/// The configuration with minutes for its seconds.
fn minutes(config: &str) -> anyhow::Result<String> {
    Ok(Regex::new(r"(\d)s\b")?.replace_all(config, "${1}m").into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_minutes_and_nothing_else_changes() {
        let config = "expr: asg:jvb_stress2s_x:avg\nperiod: 1s\nscale_in: {periods: 5, cooldown: 40s}\nsettle: 300ms\n";
        let expected = "expr: asg:jvb_stress2s_x:avg\nperiod: 1m\nscale_in: {periods: 5, cooldown: 40m}\nsettle: 300ms\n";
        assert_eq!(minutes(config).expect("an expression"), expected);
    }
}
