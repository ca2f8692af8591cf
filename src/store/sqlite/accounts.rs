//! Users, the links that can be used once, and sessions.

use serde_json::{Value, json};

use super::connect::Pools;

crate::store::account_statements::account_statements!(sqlx::SqliteConnection);

/// Each in a transaction of its own.
pub(super) struct Accounts<'a>(pub(super) &'a Pools);

impl Accounts<'_> {
    pub(super) async fn any_user(&self) -> Result<bool> {
        let mut snapshot = self.0.read().await?;
        any_user(&mut snapshot).await
    }

    pub(super) async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool> {
        let mut transaction = self.0.write().await?;
        let done = keep_setup_link(&mut transaction, link, most).await?;
        match done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool> {
        let mut snapshot = self.0.read().await?;
        setup_link(&mut snapshot, link, now).await
    }

    pub(super) async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser> {
        let mut transaction = self.0.write().await?;
        let done = create_first_user(&mut transaction, user, link).await?;
        match done == FirstUser::Done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn create_user(
        &self,
        user: &User,
        invitation: Option<&Link>,
        most: u32,
    ) -> Result<UserCreated> {
        let mut transaction = self.0.write().await?;
        let done = create_user(&mut transaction, user, invitation, most).await?;
        match done == UserCreated::Done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn user(&self, id: UserId) -> Result<Option<User>> {
        let mut snapshot = self.0.read().await?;
        user(&mut snapshot, id).await
    }

    pub(super) async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let mut snapshot = self.0.read().await?;
        user_by_email(&mut snapshot, email).await
    }

    pub(super) async fn list_users(&self, page: &PageRequest) -> Result<Page<User>> {
        let mut snapshot = self.0.read().await?;
        list_users(&mut snapshot, page).await
    }

    pub(super) async fn update_user(&self, user: &User) -> Result<UserChanged> {
        let mut transaction = self.0.write().await?;
        let done = update_user(&mut transaction, user).await?;
        match matches!(done, UserChanged::At(_)) {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged> {
        let mut transaction = self.0.write().await?;
        let done = delete_user(&mut transaction, id, now).await?;
        match matches!(done, UserChanged::At(_)) {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Moved> {
        let mut transaction = self.0.write().await?;
        let done = set_password(&mut transaction, id, password, spared, now).await?;
        match done == Moved::Done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn invite(&self, id: UserId, link: &Link) -> Result<Moved> {
        let mut transaction = self.0.write().await?;
        let done = invite(&mut transaction, id, link).await?;
        match done == Moved::Done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>> {
        let mut snapshot = self.0.read().await?;
        invited(&mut snapshot, link, now).await
    }

    pub(super) async fn take_invitation(
        &self,
        link: &KeyHash,
        name: Option<&str>,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<User>> {
        let mut transaction = self.0.write().await?;
        let done = take_invitation(&mut transaction, link, name, password, now).await?;
        match done.is_some() {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn note_sign_in(&self, user: &User) -> Result<()> {
        let mut transaction = self.0.write().await?;
        note_sign_in(&mut transaction, user).await?;
        transaction.commit().await
    }

    pub(super) async fn create_session(
        &self,
        session: &Session,
        password: Option<&PasswordHash>,
        most: u32,
    ) -> Result<Option<i64>> {
        let mut transaction = self.0.write().await?;
        let done = create_session(&mut transaction, session, password, most).await?;
        match done.is_some() {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved> {
        let mut transaction = self.0.write().await?;
        let done = end_session(&mut transaction, id, now).await?;
        match done == Moved::Done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(done)
    }

    pub(super) async fn sessions_since(&self, version: i64) -> Result<SessionChanges> {
        let mut snapshot = self.0.read().await?;
        sessions_since(&mut snapshot, version).await
    }

    pub(super) async fn sessions_version(&self) -> Result<i64> {
        let mut snapshot = self.0.read().await?;
        sessions_version(&mut snapshot).await
    }

    pub(super) async fn forget_sessions(
        &self,
        ended_before: Timestamp,
        unused_since: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let mut transaction = self.0.write().await?;
        let done = forget_sessions(&mut transaction, ended_before, unused_since, limit).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// Pairs of an id and microseconds, as one parameter.
    pub(super) async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
        let pair =
            |(id, at): &(SessionId, Timestamp)| json!([id.0.simple().to_string(), at.as_micros()]);
        let pairs: Value = uses.iter().map(pair).collect();
        let mut transaction = self.0.write().await?;
        let version = raise(&mut transaction).await?;
        let done = sqlx::query(
            "UPDATE sessions SET last_used_at = used.at, version = $2
             FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS at FROM json_each($1)) AS used
             WHERE sessions.id = used.id AND last_used_at < used.at AND revoked_at IS NULL",
        )
        .bind(pairs.to_string())
        .bind(version)
        .execute(&mut *transaction)
        .await?;
        match done.rows_affected() {
            0 => transaction.rollback().await?,
            _ => transaction.commit().await?,
        }
        Ok(())
    }
}
