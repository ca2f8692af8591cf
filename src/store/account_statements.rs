//! What is done with users, links and sessions: the same statements for both stores.
//!
//! Whoever changes something draws a version first. That takes the one row of `accounts`, so all
//! such changes go one after the other: what was looked at before a change still holds with it. The
//! stores begin the transaction, and end it: what is not done is taken back with its version.

/// Defines the statements for one driver's connection.
macro_rules! account_statements {
    ($connection:ty) => {
        use sqlx::Row;
        use uuid::Uuid;

        use super::rows;
        use crate::domain::Timestamp;
        use crate::domain::api_key::KeyHash;
        use crate::domain::id::{SessionId, UserId};
        use crate::domain::session::{Session, SessionOwner};
        use crate::domain::user::{PasswordHash, Role, User};
        use crate::store::codec;
        use crate::store::rows::At;
        use crate::store::{
            FirstUser, Link, Moved, Page, PageRequest, Position, Result, SessionChanges,
            UserChanged, UserCreated,
        };

        async fn raise(connection: &mut $connection) -> Result<i64> {
            let raised = "UPDATE accounts SET version = version + 1 WHERE one RETURNING version";
            Ok(sqlx::query_scalar(raised).fetch_one(connection).await?)
        }

        async fn any_user(connection: &mut $connection) -> Result<bool> {
            let any = "SELECT EXISTS (SELECT 1 FROM users)";
            Ok(sqlx::query_scalar(any).fetch_one(connection).await?)
        }

        async fn insert_user(
            connection: &mut $connection,
            user: &User,
            version: i64,
        ) -> Result<()> {
            sqlx::query(
                "INSERT INTO users (id, email, name, role, disabled_at, password, places,
                     signed_in_at, created_at, updated_at, version)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(user.id.0)
            .bind(user.email.to_string())
            .bind(user.name.to_string())
            .bind(user.role.as_str())
            .bind(user.disabled_at.map(At))
            .bind(user.password.as_ref().map(|hash| hash.expose().to_owned()))
            .bind(codec::places_text(&user.places))
            .bind(user.signed_in_at.map(At))
            .bind(At(user.created_at))
            .bind(At(user.updated_at))
            .bind(version)
            .execute(connection)
            .await?;
            Ok(())
        }

        async fn insert_link(
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

        async fn drop_links(connection: &mut $connection, id: UserId) -> Result<()> {
            sqlx::query("DELETE FROM user_links WHERE user_id = $1")
                .bind(id.0)
                .execute(connection)
                .await?;
            Ok(())
        }

        /// Ends the sessions of a user, but for that one.
        async fn end_sessions(
            connection: &mut $connection,
            id: UserId,
            spared: Option<SessionId>,
            now: Timestamp,
            version: i64,
        ) -> Result<()> {
            sqlx::query(
                "UPDATE sessions SET revoked_at = $1, version = $2
                 WHERE user_id = $3 AND revoked_at IS NULL AND id <> $4",
            )
            .bind(At(now))
            .bind(version)
            .bind(id.0)
            .bind(spared.map_or(Uuid::nil(), |id| id.0))
            .execute(connection)
            .await?;
            Ok(())
        }

        /// Whether somebody else administers who can sign in where this one can.
        async fn leaves_an_admin(connection: &mut $connection, id: UserId) -> Result<bool> {
            let others = "SELECT NOT EXISTS (
                     SELECT 1 FROM users
                     WHERE id = $1 AND role = 'admin' AND disabled_at IS NULL
                 ) OR EXISTS (
                     SELECT 1 FROM users AS other
                     WHERE other.id <> $1 AND other.role = 'admin' AND other.disabled_at IS NULL
                         AND (other.password IS NOT NULL
                             OR (SELECT password FROM users WHERE id = $1) IS NULL)
                 )";
            let query = sqlx::query_scalar(others).bind(id.0);
            Ok(query.fetch_one(connection).await?)
        }

        async fn keep_setup_link(
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

        async fn setup_link(
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

        async fn create_first_user(
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

        async fn create_user(
            connection: &mut $connection,
            user: &User,
            invitation: Option<&Link>,
            most: u32,
        ) -> Result<UserCreated> {
            let version = raise(connection).await?;
            let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE email = $1)")
                .bind(user.email.to_string())
                .fetch_one(&mut *connection)
                .await?;
            if taken {
                return Ok(UserCreated::EmailTaken);
            }
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
                .fetch_one(&mut *connection)
                .await?;
            if count >= i64::from(most) {
                return Ok(UserCreated::TooMany);
            }
            insert_user(connection, user, version).await?;
            if let Some(link) = invitation {
                insert_link(connection, link, Some(user.id)).await?;
            }
            Ok(UserCreated::Done)
        }

        async fn user(connection: &mut $connection, id: UserId) -> Result<Option<User>> {
            let found = sqlx::query("SELECT * FROM users WHERE id = $1")
                .bind(id.0)
                .fetch_optional(connection)
                .await?;
            found.as_ref().map(rows::user).transpose()
        }

        async fn user_by_email(connection: &mut $connection, email: &str) -> Result<Option<User>> {
            let found = sqlx::query("SELECT * FROM users WHERE email = $1")
                .bind(email.to_owned())
                .fetch_optional(connection)
                .await?;
            found.as_ref().map(rows::user).transpose()
        }

        async fn list_users(
            connection: &mut $connection,
            page: &PageRequest,
        ) -> Result<Page<User>> {
            let (limit, offset) = page.bounded();
            let found = sqlx::query(
                "SELECT * FROM users WHERE id < $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
            )
            .bind(page.after.map_or(Uuid::max(), |after| after.0))
            .bind(i64::from(limit) + 1)
            .bind(i64::from(offset))
            .fetch_all(connection)
            .await?;
            let rows = found.iter().map(rows::user).collect::<Result<_>>()?;
            Ok(Page::cut(rows, limit, |user: &User| Position(user.id.0)))
        }

        async fn update_user(connection: &mut $connection, user: &User) -> Result<UserChanged> {
            let version = raise(connection).await?;
            let administers = user.role == Role::Admin && user.disabled_at.is_none();
            if !administers && !leaves_an_admin(connection, user.id).await? {
                return Ok(UserChanged::LastAdmin);
            }
            let done = sqlx::query(
                "UPDATE users SET name = $2, role = $3, disabled_at = $4, updated_at = $5,
                     version = $6
                 WHERE id = $1 AND version = $7",
            )
            .bind(user.id.0)
            .bind(user.name.to_string())
            .bind(user.role.as_str())
            .bind(user.disabled_at.map(At))
            .bind(At(user.updated_at))
            .bind(version)
            .bind(user.version)
            .execute(&mut *connection)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(UserChanged::Overtaken);
            }
            if user.disabled_at.is_some() {
                end_sessions(connection, user.id, None, user.updated_at, version).await?;
                drop_links(connection, user.id).await?;
            } else {
                // Every process has to hear what their sessions may from now on.
                let told = "UPDATE sessions SET version = $1
                     WHERE user_id = $2 AND revoked_at IS NULL";
                sqlx::query(told)
                    .bind(version)
                    .bind(user.id.0)
                    .execute(connection)
                    .await?;
            }
            Ok(UserChanged::At(version))
        }

        async fn delete_user(
            connection: &mut $connection,
            id: UserId,
            now: Timestamp,
        ) -> Result<UserChanged> {
            let version = raise(connection).await?;
            if !leaves_an_admin(connection, id).await? {
                return Ok(UserChanged::LastAdmin);
            }
            end_sessions(connection, id, None, now, version).await?;
            drop_links(connection, id).await?;
            let done = sqlx::query("DELETE FROM users WHERE id = $1")
                .bind(id.0)
                .execute(connection)
                .await?;
            Ok(match done.rows_affected() {
                0 => UserChanged::Overtaken,
                _ => UserChanged::At(version),
            })
        }

        async fn set_password(
            connection: &mut $connection,
            id: UserId,
            password: &PasswordHash,
            spared: Option<SessionId>,
            now: Timestamp,
        ) -> Result<Moved> {
            let version = raise(connection).await?;
            let done = sqlx::query(
                "UPDATE users SET password = $2, updated_at = $3, version = $4 WHERE id = $1",
            )
            .bind(id.0)
            .bind(password.expose().to_owned())
            .bind(At(now))
            .bind(version)
            .execute(&mut *connection)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(Moved::Overtaken);
            }
            end_sessions(connection, id, spared, now, version).await?;
            drop_links(connection, id).await?;
            Ok(Moved::Done)
        }

        async fn invite(connection: &mut $connection, id: UserId, link: &Link) -> Result<Moved> {
            // So that of two at once one link is left.
            raise(connection).await?;
            if user(connection, id).await?.is_none() {
                return Ok(Moved::Overtaken);
            }
            drop_links(connection, id).await?;
            insert_link(connection, link, Some(id)).await?;
            Ok(Moved::Done)
        }

        async fn invited(
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

        async fn take_invitation(
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

        async fn note_sign_in(connection: &mut $connection, user: &User) -> Result<()> {
            sqlx::query("UPDATE users SET places = $2, signed_in_at = $3 WHERE id = $1")
                .bind(user.id.0)
                .bind(codec::places_text(&user.places))
                .bind(user.signed_in_at.map(At))
                .execute(connection)
                .await?;
            Ok(())
        }

        async fn create_session(
            connection: &mut $connection,
            session: &Session,
            password: Option<&PasswordHash>,
            most: u32,
        ) -> Result<Option<i64>> {
            let version = raise(connection).await?;
            let (user, key, proof) = match &session.owner {
                SessionOwner::User(user) => (Some(user.id.0), None, None),
                SessionOwner::Key(id) => (None, Some(id.0), None),
                SessionOwner::AdminKey(proof) => (None, None, Some(proof.as_bytes().to_vec())),
            };
            if let Some(user) = user {
                let may: bool = sqlx::query_scalar(
                    "SELECT EXISTS (
                         SELECT 1 FROM users
                         WHERE id = $1 AND disabled_at IS NULL AND password = $2
                     )",
                )
                .bind(user)
                .bind(password.map(|hash| hash.expose().to_owned()))
                .fetch_one(&mut *connection)
                .await?;
                if !may {
                    return Ok(None);
                }
            }
            sqlx::query(
                "INSERT INTO sessions (id, hash, user_id, key_id, proof, address, user_agent,
                     created_at, expires_at, last_used_at, version)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(session.id.0)
            .bind(session.hash.as_bytes().to_vec())
            .bind(user)
            .bind(key)
            .bind(proof)
            .bind(session.address.clone())
            .bind(session.user_agent.clone())
            .bind(At(session.created_at))
            .bind(At(session.expires_at))
            .bind(At(session.last_used_at))
            .bind(version)
            .execute(&mut *connection)
            .await?;
            let (column, owner) = match (user, key) {
                (Some(user), _) => ("user_id = $3", user),
                (None, Some(key)) => ("key_id = $3", key),
                (None, None) => ("proof IS NOT NULL AND id <> $3", Uuid::nil()),
            };
            let sql = format!(
                "UPDATE sessions SET revoked_at = $1, version = $2
                 WHERE {column} AND revoked_at IS NULL AND id NOT IN (
                     SELECT id FROM sessions WHERE {column} AND revoked_at IS NULL
                     ORDER BY id DESC LIMIT $4
                 )"
            );
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(At(session.created_at))
                .bind(version)
                .bind(owner)
                .bind(i64::from(most))
                .execute(connection)
                .await?;
            Ok(Some(version))
        }

        async fn end_session(
            connection: &mut $connection,
            id: SessionId,
            now: Timestamp,
        ) -> Result<Moved> {
            let version = raise(connection).await?;
            let done = sqlx::query(
                "UPDATE sessions SET revoked_at = $1, version = $2
                 WHERE id = $3 AND revoked_at IS NULL",
            )
            .bind(At(now))
            .bind(version)
            .bind(id.0)
            .execute(connection)
            .await?;
            Ok(match done.rows_affected() {
                0 => Moved::Overtaken,
                _ => Moved::Done,
            })
        }

        /// Version and changes; the caller has a snapshot, so that no change hides between the two.
        async fn sessions_since(
            connection: &mut $connection,
            version: i64,
        ) -> Result<SessionChanges> {
            let mut changes = SessionChanges {
                version: sessions_version(connection).await?,
                ..SessionChanges::default()
            };
            let found = sqlx::query(
                "SELECT s.*, u.email AS user_email, u.name AS user_name, u.role AS user_role
                 FROM sessions s LEFT JOIN users u ON u.id = s.user_id
                 WHERE s.version > $1 AND ($1 > 0 OR s.revoked_at IS NULL)",
            )
            .bind(version)
            .fetch_all(connection)
            .await?;
            for row in &found {
                match row.try_get::<Option<At>, _>("revoked_at")? {
                    Some(_) => changes.ended.push(SessionId(row.try_get("id")?)),
                    None => changes.open.push(rows::session(row)?),
                }
            }
            Ok(changes)
        }

        async fn sessions_version(connection: &mut $connection) -> Result<i64> {
            let version = "SELECT version FROM accounts WHERE one";
            Ok(sqlx::query_scalar(version).fetch_one(connection).await?)
        }

        async fn forget_sessions(
            connection: &mut $connection,
            ended_before: Timestamp,
            unused_since: Timestamp,
            limit: u32,
        ) -> Result<u64> {
            let sessions = sqlx::query(
                "DELETE FROM sessions WHERE id IN (
                     SELECT id FROM sessions
                     WHERE revoked_at < $1 OR expires_at < $1 OR last_used_at < $2 LIMIT $3
                 )",
            )
            .bind(At(ended_before))
            .bind(At(unused_since))
            .bind(i64::from(limit))
            .execute(&mut *connection)
            .await?;
            // Hardly ever any: those that were used are gone already.
            sqlx::query(
                "DELETE FROM user_links WHERE hash IN (
                     SELECT hash FROM user_links WHERE expires_at < $1 LIMIT $2
                 )",
            )
            .bind(At(ended_before))
            .bind(i64::from(limit))
            .execute(connection)
            .await?;
            Ok(sessions.rows_affected())
        }
    };
}

pub(super) use account_statements;
