//! What is asked of the accounts, each in a transaction of its own: the same for both stores.

/// Implements [`AccountStore`](crate::store::AccountStore) for a store. Its module says how uses are noted
/// (`note_uses`); how it comes by connections stands in the store's `turns.rs`.
macro_rules! account_calls {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl crate::store::AccountStore for $store {
            async fn any_user(&self) -> Result<bool> {
                answered(async {
                    let mut connection = reading(self).await?;
                    users::any_user(&mut connection).await
                })
                .await
            }

            async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = links::keep_setup_link(&mut transaction, link, most).await?;
                    ended(transaction, done).await?;
                    Ok(done)
                })
                .await
            }

            async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool> {
                answered(async {
                    let mut connection = reading(self).await?;
                    links::setup_link(&mut connection, link, now).await
                })
                .await
            }

            async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = links::create_first_user(&mut transaction, user, link).await?;
                    ended(transaction, done == FirstUser::Done).await?;
                    Ok(done)
                })
                .await
            }

            async fn create_user(
                &self,
                user: &User,
                invitation: Option<&Link>,
                most: u32,
            ) -> Result<UserCreated> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = users::create_user(&mut transaction, user, invitation, most).await?;
                    ended(transaction, done == UserCreated::Done).await?;
                    Ok(done)
                })
                .await
            }

            async fn user(&self, id: UserId) -> Result<Option<User>> {
                answered(async {
                    let mut connection = reading(self).await?;
                    users::user(&mut connection, id).await
                })
                .await
            }

            async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
                answered(async {
                    let mut connection = reading(self).await?;
                    users::user_by_email(&mut connection, email).await
                })
                .await
            }

            async fn list_users(&self, page: &PageRequest) -> Result<Page<User>> {
                answered(async {
                    let mut connection = listing(self).await?;
                    users::list_users(&mut connection, page).await
                })
                .await
            }

            async fn update_user(&self, user: &User) -> Result<UserChanged> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = users::update_user(&mut transaction, user).await?;
                    ended(transaction, matches!(done, UserChanged::At(_))).await?;
                    Ok(done)
                })
                .await
            }

            async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = users::delete_user(&mut transaction, id, now).await?;
                    ended(transaction, matches!(done, UserChanged::At(_))).await?;
                    Ok(done)
                })
                .await
            }

            async fn set_password(
                &self,
                id: UserId,
                password: &PasswordHash,
                spared: Option<SessionId>,
                now: Timestamp,
            ) -> Result<Moved> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done =
                        users::set_password(&mut transaction, id, password, spared, now).await?;
                    ended(transaction, done == Moved::Done).await?;
                    Ok(done)
                })
                .await
            }

            async fn invite(&self, id: UserId, link: &Link) -> Result<Moved> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = links::invite(&mut transaction, id, link).await?;
                    ended(transaction, done == Moved::Done).await?;
                    Ok(done)
                })
                .await
            }

            async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>> {
                answered(async {
                    let mut connection = reading(self).await?;
                    links::invited(&mut connection, link, now).await
                })
                .await
            }

            async fn take_invitation(
                &self,
                link: &KeyHash,
                name: Option<&str>,
                password: &PasswordHash,
                now: Timestamp,
            ) -> Result<Option<User>> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done =
                        links::take_invitation(&mut transaction, link, name, password, now).await?;
                    ended(transaction, done.is_some()).await?;
                    Ok(done)
                })
                .await
            }

            async fn note_sign_in(&self, user: &User) -> Result<()> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    users::note_sign_in(&mut transaction, user).await?;
                    ended(transaction, true).await
                })
                .await
            }

            async fn create_session(
                &self,
                session: &Session,
                password: Option<&PasswordHash>,
                most: u32,
            ) -> Result<Option<i64>> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done =
                        sessions::create_session(&mut transaction, session, password, most).await?;
                    ended(transaction, done.is_some()).await?;
                    Ok(done)
                })
                .await
            }

            async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = sessions::end_session(&mut transaction, id, now).await?;
                    ended(transaction, done == Moved::Done).await?;
                    Ok(done)
                })
                .await
            }

            async fn sessions_since(&self, version: i64) -> Result<SessionChanges> {
                answered(async {
                    let mut snapshot = snapshot(self).await?;
                    sessions::sessions_since(&mut snapshot, version).await
                })
                .await
            }

            async fn sessions_version(&self) -> Result<i64> {
                answered(async {
                    let mut connection = reading(self).await?;
                    sessions::sessions_version(&mut connection).await
                })
                .await
            }

            async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let version = users::raise(&mut transaction).await?;
                    let noted = note_uses(&mut transaction, uses, version).await?;
                    ended(transaction, noted > 0).await
                })
                .await
            }

            async fn forget_sessions(
                &self,
                ended_before: Timestamp,
                unused_since: Timestamp,
                limit: u32,
            ) -> Result<u64> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = sessions::forget_sessions(
                        &mut transaction,
                        ended_before,
                        unused_since,
                        limit,
                    )
                    .await?;
                    ended(transaction, true).await?;
                    Ok(done)
                })
                .await
            }
        }
    };
}

pub(in crate::store) use account_calls;
