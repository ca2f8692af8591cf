//! Traces: the way of an event as OpenTelemetry spans, where a collector is configured.
//!
//! A request to post events gets a span (under the sender's `traceparent`, where one came), its
//! commit another, each attempt a third; the attempt's goes to the receiver as `traceparent`.
//! Which trace an event belongs to is kept in memory only, for the newest events: an attempt after
//! a restart, in another process or long after many other events begins a trace of its own.
//! Nobody waits for the collector: what it does not take is dropped and counted.

mod export;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use prometheus_client::metrics::counter::Counter;

use self::export::Exporting;
use crate::domain::delivery::{AttemptRecord, PendingDelivery};
use crate::domain::id::EventId;
use crate::settings::TracingSettings;

/// Events whose trace is remembered at most, the newest of them.
const MOST_KNOWN: usize = 65_536;
/// How long a stop waits for the collector.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// See the module's documentation.
pub struct Traces {
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    known: Mutex<Known>,
    exporting: Exporting,
    /// Ends the spans' pipeline where it is dropped.
    _provider: SdkTracerProvider,
}

/// Which trace an event belongs to.
#[derive(Default)]
struct Known {
    traces: HashMap<EventId, SpanContext>,
    in_order: VecDeque<EventId>,
}

impl Known {
    fn keep(&mut self, event: EventId, trace: SpanContext) {
        if self.traces.insert(event, trace).is_none() {
            self.in_order.push_back(event);
        }
        while self.in_order.len() > MOST_KNOWN {
            if let Some(oldest) = self.in_order.pop_front() {
                self.traces.remove(&oldest);
            }
        }
    }
}

impl Traces {
    /// Starts what sends spans, where a collector is configured; `lost` counts what it did not
    /// take. Must be called within the runtime.
    pub fn start(settings: &TracingSettings, lost: Counter) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok(None);
        };
        let (processor, exporting) = export::start(endpoint, lost)?;
        let product = Resource::builder()
            .with_service_name("posthaste")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let ratio = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(product)
            .build();
        Ok(Some(Arc::new(Self {
            tracer: provider.tracer("posthaste"),
            propagator: TraceContextPropagator::new(),
            known: Mutex::default(),
            exporting,
            _provider: provider,
        })))
    }

    /// Sends what is left, for as long as a stop may wait.
    pub async fn stop(&self) {
        self.exporting.stop(LAST_EXPORT).await;
    }

    /// A request to post events has come.
    pub fn request(self: &Arc<Self>, headers: &HeaderMap) -> RequestTrace {
        let parent = self
            .propagator
            .extract_with_context(&Context::new(), &Given(headers));
        let span = SpanBuilder::from_name("POST /events")
            .with_kind(SpanKind::Server)
            .start_with_context(&self.tracer, &parent);
        RequestTrace {
            context: Context::new().with_span(span),
            traces: Arc::clone(self),
        }
    }

    /// An attempt begins.
    pub fn attempt(&self, delivery: &PendingDelivery) -> AttemptTrace {
        let known = self.known().traces.get(&delivery.event_id).cloned();
        let parent = known.map_or_else(Context::new, |trace| {
            Context::new().with_remote_span_context(trace)
        });
        let span = SpanBuilder::from_name("deliver")
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("posthaste.event.id", delivery.event_id.to_string()),
                KeyValue::new("posthaste.delivery.id", delivery.id.to_string()),
                KeyValue::new(
                    "posthaste.subscription.id",
                    delivery.subscription_id.to_string(),
                ),
            ])
            .start_with_context(&self.tracer, &parent);
        let mut headers = Passed::default();
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        self.propagator.inject_context(&context, &mut headers);
        AttemptTrace {
            span: Box::new(span),
            headers: headers.0,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trace of one request. Its span ends with it.
pub struct RequestTrace {
    context: Context,
    traces: Arc<Traces>,
}

impl RequestTrace {
    /// These events are about to be accepted: their attempts belong to this trace.
    pub fn accepting(&self, events: impl ExactSizeIterator<Item = EventId>) -> Accepting {
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let trace = self.context.span().span_context().clone();
        {
            let mut known = self.traces.known();
            events.for_each(|event| known.keep(event, trace.clone()));
        }
        let span = SpanBuilder::from_name("accept")
            .with_attributes([KeyValue::new("posthaste.events", count)])
            .start_with_context(&self.traces.tracer, &self.context);
        Accepting {
            _span: Box::new(span),
        }
    }

    /// The request was answered.
    pub fn answered(self, status: u16) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
        if status >= 500 {
            span.set_status(Status::error("refused"));
        }
        span.end();
    }
}

/// The commit of a request's events. Its span ends with it. In a box, as an attempt's: the tasks
/// that carry them must not grow where there are none.
pub struct Accepting {
    _span: Box<Span>,
}

/// The trace of one attempt.
pub struct AttemptTrace {
    span: Box<Span>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl AttemptTrace {
    /// What the receiver gets of it.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.headers.clone()
    }

    /// The attempt has come to this.
    pub fn ended(mut self, record: &AttemptRecord) {
        let outcome = &record.outcome;
        let number = i64::from(record.number());
        self.span
            .set_attribute(KeyValue::new("posthaste.attempt", number));
        if let Some(status) = outcome.status() {
            let status = KeyValue::new("http.response.status_code", i64::from(status));
            self.span.set_attribute(status);
        }
        if let Some(kind) = outcome.error_kind() {
            self.span
                .set_attribute(KeyValue::new("error.type", kind.to_owned()));
            self.span.set_status(Status::error(kind.to_owned()));
        }
        self.span.end();
    }
}

/// Headers of a request that came.
struct Given<'a>(&'a HeaderMap);

impl Extractor for Given<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Headers of a request that goes out.
#[derive(Default)]
struct Passed(Vec<(HeaderName, HeaderValue)>);

impl Injector for Passed {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value))
            && !value.is_empty()
        {
            self.0.push((name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_the_newest_events_are_known() {
        let mut known = Known::default();
        let event = |number: usize| EventId(Uuid::from_u128(number as u128));
        for number in 0..MOST_KNOWN + 10 {
            known.keep(event(number), SpanContext::empty_context());
            known.keep(event(number), SpanContext::empty_context());
        }
        assert_eq!(known.traces.len(), MOST_KNOWN);
        assert_eq!(known.in_order.len(), MOST_KNOWN);
        assert!(!known.traces.contains_key(&event(9)));
        assert!(known.traces.contains_key(&event(10)));
    }
}
