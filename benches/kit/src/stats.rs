//! Medians, and how sure one may be of them.

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.value, self.low, self.high)
    }
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 10_000;

/// The median of `values` and its interval by the percentile bootstrap; `None` without values.
pub fn median(values: &[f64]) -> Option<Median> {
    let value = middle(&mut values.to_vec())?;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut sample = Vec::with_capacity(values.len());
    for _ in 0..RESAMPLES {
        sample.clear();
        for _ in values {
            // xorshift64: the same resamples each time, so the same figures for the same measurements.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let n = usize::try_from(random >> 32).unwrap_or_default() % values.len();
            sample.push(values.get(n).copied().unwrap_or_default());
        }
        medians.extend(middle(&mut sample));
    }
    medians.sort_by(f64::total_cmp);
    let low = *medians.get(RESAMPLES * 25 / 1000)?;
    let high = *medians.get(RESAMPLES * 975 / 1000)?;
    Some(Median { value, low, high })
}

fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(half.checked_sub(1)?)?, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_its_interval() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(Median { value: 3.0, low: 3.0, high: 3.0 }));
        let values: Vec<f64> = (0..21).map(f64::from).collect();
        let median = median(&values).unwrap();
        assert!((median.value - 10.0).abs() < 1e-9);
        assert!(median.low < 10.0 && 10.0 < median.high && median.low > 4.0 && median.high < 16.0);
    }
}
