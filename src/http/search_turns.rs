//! Who reads the next stretch of a search. Lists, pages and deliveries read as well, so few searches do
//! at once, and of one tenant's a quarter of those: the rest of its own wait behind each other, and not
//! before everybody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::error::{ApiError, Result};
use crate::domain::tenant;

/// See the module's documentation.
pub struct Turns {
    all: Semaphore,
    most_of_tenant: usize,
    /// Of the tenants that search now.
    tenants: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// A stretch is read; the turn ends with this.
#[derive(Debug)]
pub struct Turn<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_tenant: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        Self {
            all: Semaphore::new(most),
            most_of_tenant: tenant::share_of(most),
            tenants: Mutex::default(),
        }
    }

    /// Waits for a turn.
    pub async fn take(&self, tenant: Option<&Arc<str>>) -> Result<Turn<'_>> {
        let of_tenant = match tenant {
            Some(tenant) => {
                let turn = self.of_tenant(tenant).acquire_owned().await;
                Some(turn.map_err(|_| ApiError::internal())?)
            }
            None => None,
        };
        let of_all = self.all.acquire().await;
        Ok(Turn {
            _of_all: of_all.map_err(|_| ApiError::internal())?,
            _of_tenant: of_tenant,
        })
    }

    fn of_tenant(&self, tenant: &Arc<str>) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant).and_then(Weak::upgrade) {
            return known;
        }
        tenants.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(self.most_of_tenant));
        tenants.insert(Arc::clone(tenant), Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_tenants_searches_wait_for_each_other_and_not_before_others() {
        let turns = Turns::new(2);
        let (busy, other): (Arc<str>, Arc<str>) = ("busy".into(), "other".into());
        let first = turns.take(Some(&busy)).await.unwrap();
        let mut more: Vec<_> = (0..3).map(|_| Box::pin(turns.take(Some(&busy)))).collect();
        for waiting in &mut more {
            assert!(
                waiting.now_or_never().is_none(),
                "one of a tenant's at a time"
            );
        }
        let of_other = turns.take(Some(&other)).now_or_never();
        let of_other = of_other
            .expect("the second place is free for others")
            .unwrap();
        let mut of_all = Box::pin(turns.take(None));
        assert!(
            (&mut of_all).now_or_never().is_none(),
            "both places are taken"
        );
        drop(first);
        assert!(
            (&mut more[0]).now_or_never().is_none(),
            "who waits longer is first"
        );
        let of_all = of_all.now_or_never().expect("a place became free").unwrap();
        drop(of_other);
        let second = (&mut more[0]).now_or_never().expect("and another").unwrap();
        drop((of_all, second, more));
        drop(turns.take(Some(&"third".into())).await.unwrap());
        assert_eq!(
            turns.tenants.lock().unwrap().len(),
            1,
            "who searches no more is forgotten"
        );
    }
}
