//! Links that can be used once, for the first user and for invitations: the same statements for both
//! stores.

/// Defines them for one driver's connection.
macro_rules! link_statements {
    ($connection:ty) => {
        use super::super::rows;
        use super::sessions::end_sessions;
        use super::users::{any_user, insert_user, raise, user};
        use crate::domain::Timestamp;
        use crate::domain::api_key::KeyHash;
        use crate::domain::id::UserId;
        use crate::domain::user::{PasswordHash, User};
        use crate::store::rows::At;
        use crate::store::{FirstUser, Link, Moved, Result};

        pub(super) async fn insert_link(
            connection: &mut $connection,
            link: &Link,
            user: Option<UserId>,
        ) -> Result<()> {
            sqlx::query(
                "INSERT INTO user_links (hash, user_id, created_at, expires_at)
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(link.hash.as_bytes().to_vec())
            .bind(user.map(|id| id.0))
            .bind(At(link.created_at))
            .bind(At(link.expires_at))
            .execute(connection)
            .await?;
            Ok(())
        }

        pub(super) async fn drop_links(connection: &mut $connection, id: UserId) -> Result<()> {
            sqlx::query("DELETE FROM user_links WHERE user_id = $1")
                .bind(id.0)
                .execute(connection)
                .await?;
            Ok(())
        }

        pub(super) async fn keep_setup_link(
            connection: &mut $connection,
            link: &Link,
            most: u32,
        ) -> Result<bool> {
            if any_user(connection).await? {
                return Ok(false);
            }
            insert_link(connection, link, None).await?;
            sqlx::query(
                "DELETE FROM user_links WHERE user_id IS NULL AND hash NOT IN (
                     SELECT hash FROM user_links WHERE user_id IS NULL AND expires_at > $1
                     ORDER BY created_at DESC, hash LIMIT $2
                 )",
            )
            .bind(At(link.created_at))
            .bind(i64::from(most))
            .execute(connection)
            .await?;
            Ok(true)
        }

        pub(super) async fn setup_link(
            connection: &mut $connection,
            link: &KeyHash,
            now: Timestamp,
        ) -> Result<bool> {
            let query = sqlx::query_scalar(
                "SELECT EXISTS (
                     SELECT 1 FROM user_links
                     WHERE hash = $1 AND user_id IS NULL AND expires_at > $2
                 )",
            );
            let query = query.bind(link.as_bytes().to_vec()).bind(At(now));
            Ok(query.fetch_one(connection).await?)
        }

        pub(super) async fn create_first_user(
            connection: &mut $connection,
            user: &User,
            link: &KeyHash,
        ) -> Result<FirstUser> {
            let version = raise(connection).await?;
            if any_user(connection).await? {
                return Ok(FirstUser::TooLate);
            }
            let used = sqlx::query(
                "DELETE FROM user_links
                 WHERE hash = $1 AND user_id IS NULL AND expires_at > $2",
            )
            .bind(link.as_bytes().to_vec())
            .bind(At(user.created_at))
            .execute(&mut *connection)
            .await?;
            if used.rows_affected() == 0 {
                return Ok(FirstUser::NoLink);
            }
            sqlx::query("DELETE FROM user_links")
                .execute(&mut *connection)
                .await?;
            insert_user(connection, user, version).await?;
            Ok(FirstUser::Done)
        }

        pub(super) async fn invite(
            connection: &mut $connection,
            id: UserId,
            link: &Link,
        ) -> Result<Moved> {
            // So that of two at once one link is left.
            raise(connection).await?;
            let found = user(connection, id).await?;
            if found.is_none_or(|user| user.disabled_at.is_some()) {
                return Ok(Moved::Overtaken);
            }
            drop_links(connection, id).await?;
            insert_link(connection, link, Some(id)).await?;
            Ok(Moved::Done)
        }

        pub(super) async fn invited(
            connection: &mut $connection,
            link: &KeyHash,
            now: Timestamp,
        ) -> Result<Option<User>> {
            let found = sqlx::query(
                "SELECT users.* FROM user_links JOIN users ON users.id = user_links.user_id
                 WHERE hash = $1 AND expires_at > $2 AND disabled_at IS NULL",
            )
            .bind(link.as_bytes().to_vec())
            .bind(At(now))
            .fetch_optional(connection)
            .await?;
            found.as_ref().map(rows::user).transpose()
        }

        pub(super) async fn take_invitation(
            connection: &mut $connection,
            link: &KeyHash,
            name: Option<&str>,
            password: &PasswordHash,
            now: Timestamp,
        ) -> Result<Option<User>> {
            let version = raise(connection).await?;
            let Some(found) = invited(connection, link, now).await? else {
                return Ok(None);
            };
            let taken = User {
                name: name.map_or_else(|| found.name.clone(), Into::into),
                password: Some(password.clone()),
                updated_at: now,
                version,
                ..found
            };
            sqlx::query(
                "UPDATE users SET name = $2, password = $3, updated_at = $4, version = $5
                 WHERE id = $1",
            )
            .bind(taken.id.0)
            .bind(taken.name.to_string())
            .bind(password.expose().to_owned())
            .bind(At(now))
            .bind(version)
            .execute(&mut *connection)
            .await?;
            end_sessions(connection, taken.id, None, now, version).await?;
            drop_links(connection, taken.id).await?;
            Ok(Some(taken))
        }
    };
}

pub(in crate::store) use link_statements;
