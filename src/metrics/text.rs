//! The two text formats of a scrape.

use std::fmt::Write;

use prometheus_client::encoding::text::encode;

use super::Metrics;

impl Metrics {
    /// The content type of [`Self::openmetrics`].
    pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    /// The content type of [`Self::prometheus`].
    pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// `OpenMetrics` 1.0, for scrapers that accept it.
    pub fn openmetrics(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The older text format 0.0.4, for everybody else. It differs in what stands before a counter (its full
    /// name, with `_total`), and has no end mark.
    pub fn prometheus(&self) -> Result<String, std::fmt::Error> {
        let open = self.openmetrics()?;
        let mut text = String::with_capacity(open.len() + 1024);
        let mut lines = open.lines().peekable();
        while let Some(line) = lines.next() {
            if line == "# EOF" {
                continue;
            }
            let Some(described) = line.strip_prefix("# HELP ") else {
                writeln!(text, "{line}")?;
                continue;
            };
            // HELP comes first, TYPE follows: both name the family, which for a counter lacks `_total`.
            let (name, help) = described.split_once(' ').unwrap_or((described, ""));
            let type_line = lines.next_if(|l| l.starts_with("# TYPE ")).unwrap_or_default();
            let kind = type_line.rsplit(' ').next().unwrap_or("untyped");
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")?;
        }
        Ok(text)
    }
}
