//! Spans on their way to the collector: a bounded queue, and a task that empties it.
//!
//! The library's own batches run on a thread without our runtime, which the HTTP client needs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::Context;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Spans that wait at most; further ones are lost.
const QUEUE: usize = 8_192;
/// Spans of one request to the collector at most.
const BATCH: usize = 512;
/// How long spans wait for company.
const LINGER: Duration = Duration::from_millis(200);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where spans go as they end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    lost: Counter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.lost.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task that sends them.
pub(super) struct Exporting {
    stopping: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporting {
    /// Sends what is left and ends, at the latest after `patience`.
    pub(super) async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut task) = task
            && tokio::time::timeout(patience, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

/// Starts it.
pub(super) fn start(endpoint: &Url, lost: Counter) -> anyhow::Result<(Queue, Exporting)> {
    let client = reqwest::Client::builder().no_proxy().build();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.context("cannot prepare to call the collector")?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.as_str())
        .with_timeout(PATIENCE)
        .build()
        .context("cannot send spans (tracing.otlp_endpoint)")?;
    let (spans, waiting) = mpsc::channel(QUEUE);
    let stopping = CancellationToken::new();
    let task = tokio::spawn(export(exporter, waiting, stopping.clone(), lost.clone()));
    let exporting = Exporting {
        stopping,
        task: Mutex::new(Some(task)),
    };
    Ok((Queue { spans, lost }, exporting))
}

async fn export(
    exporter: SpanExporter,
    mut waiting: mpsc::Receiver<SpanData>,
    stopping: CancellationToken,
    lost: Counter,
) {
    let mut failing = false;
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            _ = waiting.recv_many(&mut batch, BATCH) => {}
            () = stopping.cancelled() => waiting.close(),
        }
        if batch.len() < BATCH {
            tokio::select! {
                () = tokio::time::sleep(LINGER) => {}
                () = stopping.cancelled() => {}
            }
            while batch.len() < BATCH
                && let Ok(span) = waiting.try_recv()
            {
                batch.push(span);
            }
        }
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        match exporter.export(batch).await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the collector takes spans again");
            }
            Ok(()) => {}
            Err(problem) => {
                lost.inc_by(count);
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%problem, "the collector takes no spans; they are dropped");
                }
            }
        }
    }
}
