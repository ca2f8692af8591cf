//! The API as its callers know it: every request of the systems that Posthaste replaces, as it
//! stands in their senders, admin scripts and receivers.

#[path = "../support/mod.rs"]
mod support;

#[path = "../relay/document.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod document;

mod caller;
mod fuzz;
mod matrix;
mod s1_algohire;
mod s2_candidates;
mod s3_full_stack;
mod s4_dashboard;
mod s5_recart;
mod standard_webhooks;
