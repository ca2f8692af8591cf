//! What a group of attempts comes to in columns.

use std::collections::BTreeMap;

use super::{error_message, evidence};
use crate::domain::Timestamp;
use crate::domain::deactivation::Streak;
use crate::domain::delivery::{AttemptRecord, Trigger};
use crate::domain::id::SubscriptionId;
use crate::domain::outcome::CallResult;
use crate::store::{RecordGroup, Result};

/// What an attempt's outcome comes to in columns.
pub(in crate::store) struct OutcomeColumns<'a> {
    pub(in crate::store) request_headers: &'a [u8],
    pub(in crate::store) status: Option<i16>,
    pub(in crate::store) error_kind: Option<&'static str>,
    pub(in crate::store) error_message: Option<String>,
    pub(in crate::store) answer_headers: &'a [u8],
    pub(in crate::store) answer_body: &'a [u8],
    pub(in crate::store) answer_cut: bool,
}

impl<'a> OutcomeColumns<'a> {
    /// Of a record.
    pub(in crate::store) fn of(record: &'a AttemptRecord) -> Self {
        let outcome = &record.outcome;
        let answer = match &outcome.result {
            CallResult::Answer(answer) => Some(answer),
            CallResult::Failure(_) => None,
        };
        Self {
            request_headers: outcome.request_headers.as_block(),
            status: outcome
                .status()
                .and_then(|status| i16::try_from(status).ok()),
            error_kind: outcome.error_kind(),
            error_message: error_message(outcome),
            answer_headers: answer.map_or(&[][..], |answer| answer.headers.as_block()),
            answer_body: answer.map_or(&[][..], |answer| &answer.body),
            answer_cut: answer.is_some_and(|answer| answer.body_cut),
        }
    }
}

/// What a group of attempts tells about one subscription.
pub(in crate::store) struct Learnt<'a> {
    pub(in crate::store) subscription: SubscriptionId,
    /// The receiver asked to be left alone until then.
    pub(in crate::store) hold_until: Option<Timestamp>,
    /// It was tried while deactivated.
    pub(in crate::store) tried_at: Option<Timestamp>,
    /// What failed since the last success, where that changes.
    pub(in crate::store) streak: Option<&'a Streak>,
    /// That streak's evidence.
    pub(in crate::store) evidence: Option<String>,
    /// The failed attempt that began last.
    pub(in crate::store) failure: Option<&'a AttemptRecord>,
}

impl<'a> Learnt<'a> {
    /// One for each subscription that anything was learnt of, in the order of their ids.
    pub(in crate::store) fn of(group: &'a RecordGroup) -> Result<Vec<Self>> {
        let mut all = BTreeMap::new();
        for record in &group.records {
            let tried_at = (record.trigger == Trigger::Trial).then_some(record.outcome.started_at);
            let hold_until = record.verdict.hold_until;
            let failed = !record.outcome.is_success();
            if failed || tried_at.is_some() || hold_until.is_some() {
                let one = Self::entry(&mut all, record.delivery.subscription_id);
                let later =
                    |known: &AttemptRecord| known.outcome.started_at <= record.outcome.started_at;
                if failed && one.failure.is_none_or(later) {
                    one.failure = Some(record);
                }
                one.hold_until = one.hold_until.max(hold_until);
                one.tried_at = one.tried_at.max(tried_at);
            }
        }
        for (subscription, streak) in &group.streaks {
            let one = Self::entry(&mut all, *subscription);
            one.streak = Some(streak);
            one.evidence = Some(evidence(&streak.evidence)?);
        }
        Ok(all.into_values().collect())
    }

    fn entry(all: &mut BTreeMap<SubscriptionId, Self>, subscription: SubscriptionId) -> &mut Self {
        all.entry(subscription).or_insert(Self {
            subscription,
            hold_until: None,
            tried_at: None,
            streak: None,
            evidence: None,
            failure: None,
        })
    }

    /// When that attempt began.
    pub(in crate::store) fn error_at(&self) -> Option<Timestamp> {
        self.failure.map(|record| record.outcome.started_at)
    }

    /// The status that it was answered with.
    pub(in crate::store) fn error_status(&self) -> Option<i16> {
        let status = self.failure.and_then(|record| record.outcome.status());
        status.and_then(|status| i16::try_from(status).ok())
    }
}
