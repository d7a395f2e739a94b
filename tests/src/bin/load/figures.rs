//! Statistics of samples and of processes.

use std::fs;

use anyhow::Context as _;

/// Samples in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Sorted(Vec<f64>);

impl Sorted {
    pub(crate) fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The quantile of the samples; NaN without samples.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is a place in it"
    )]
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn max(&self) -> f64 {
        self.at(1.0)
    }

    /// Formats shares as "31.2 % (29.0 to 33.4)": median, minimum and maximum.
    pub(crate) fn percent(&self) -> String {
        let [median, least, most] = [0.5, 0.0, 1.0].map(|share| self.at(share) * 100.0);
        format!("{median:.1} % ({least:.1} to {most:.1})")
    }

    /// Formats seconds as "p50 1.20, p99 3.40, p99.9 5.60 ms".
    pub(crate) fn millis(&self) -> String {
        let [half, most, nearly] = [0.5, 0.99, 0.999].map(|share| self.at(share) * 1e3);
        format!("p50 {half:.2}, p99 {most:.2}, p99.9 {nearly:.2} ms")
    }
}

/// Resident memory of a process in MB.
pub(crate) fn resident(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("no VmRSS")?.trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// Processor time that a process and its children have used so far, in seconds.
pub(crate) fn processor(process: u32) -> anyhow::Result<f64> {
    let children = children(process)?.into_iter().map(own_processor).sum::<anyhow::Result<f64>>()?;
    Ok(own_processor(process)? + children)
}

fn children(process: u32) -> anyhow::Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    text.split_whitespace().map(|child| Ok(child.parse()?)).collect()
}

/// As [`processor`], without its children.
pub(crate) fn own_processor(process: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in brackets may contain anything; the third field follows the last bracket. The kernel reports
    // hundredths of a second.
    let fields: Vec<&str> = text.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks = |number: usize| -> anyhow::Result<f64> {
        Ok(fields.get(number - 3).context("too few fields")?.parse()?)
    };
    Ok((ticks(14)? + ticks(15)?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_samples() {
        let sorted = Sorted::new(vec![3.0, 1.0, 2.0]);
        assert_eq!((sorted.at(0.0), sorted.median(), sorted.max()), (1.0, 2.0, 3.0));
        assert!(Sorted::new(Vec::new()).median().is_nan());
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let own = std::process::id();
        assert!(resident(own).expect("from /proc") > 0.5);
        assert!(processor(own).expect("from /proc") >= 0.0);
    }
}
