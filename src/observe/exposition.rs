//! Metrics as text, in the two forms that Prometheus reads.

use crate::metrics::{Counter, Durations};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// `OpenMetrics` 1.0, for who asks for it.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, for everybody else.
    Prometheus,
}

impl ExpositionFormat {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }

    /// The page of all that is collected.
    pub(super) fn write(self, collector: impl Collector) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        let mut page = String::with_capacity(32 << 10);
        registry.register_collector(Box::new(collector));
        match self {
            Self::OpenMetrics => text::encode(&mut page, &registry)?,
            Self::Prometheus => prometheus_text::encode(&mut page, &registry)?,
        }
        Ok(page)
    }
}

/// Where metrics are written to.
pub(super) struct MetricsEncoder<'a>(pub DescriptorEncoder<'a>);

/// What tells the series of one metric apart.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl MetricsEncoder<'_> {
    /// What goes up and down; left out when it is not known.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [([], value)])
    }

    /// The same of several.
    pub fn gauges<'a, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, V)>,
    ) -> fmt::Result {
        self.each((name, help, MetricType::Gauge), values, |mut to, value| {
            to.encode_gauge(value)
        })
    }

    /// What only grows: its name gets the end `_total`.
    pub fn counter(&mut self, name: &str, help: &str, count: &Counter) -> fmt::Result {
        self.counters(name, help, [([], count.get())])
    }

    /// The same of several.
    pub fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.each(
            (name, help, MetricType::Counter),
            counts,
            |mut to, count| to.encode_counter::<NoLabelSet, _, f64>(count, None),
        )
    }

    /// Histograms: `_bucket`, `_sum` and `_count`.
    pub fn histograms<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        durations: impl IntoIterator<Item = (Labels<'a, N>, &'a Durations)>,
    ) -> fmt::Result {
        self.each(
            (name, help, MetricType::Histogram),
            durations,
            |mut to, durations| {
                let buckets = durations.buckets();
                let count = buckets.iter().map(|(_, count)| count).sum();
                to.encode_histogram::<NoLabelSet>(
                    durations.sum().as_secs_f64(),
                    count,
                    &buckets,
                    None,
                )
            },
        )
    }

    fn each<'a, const N: usize, V>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        values: impl IntoIterator<Item = (Labels<'a, N>, V)>,
        write: impl Fn(MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            write(metric.encode_family(&labels)?, &value)?;
        }
        Ok(())
    }
}
