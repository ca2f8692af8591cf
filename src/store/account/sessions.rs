//! Sessions: the same statements for both stores.

/// Defines them for one driver's connection.
macro_rules! session_statements {
    ($connection:ty) => {
        use sqlx::Row;
        use uuid::Uuid;

        use super::super::rows;
        use super::users::raise;
        use crate::domain::Timestamp;
        use crate::domain::id::{SessionId, UserId};
        use crate::domain::session::{Session, SessionOwner};
        use crate::domain::user::PasswordHash;
        use crate::store::rows::At;
        use crate::store::{Moved, Result, SessionChanges};

        /// Ends the sessions of a user, but for that one.
        pub(super) async fn end_sessions(
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

        pub(super) async fn create_session(
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

        pub(super) async fn end_session(
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
        pub(super) async fn sessions_since(
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

        pub(super) async fn sessions_version(connection: &mut $connection) -> Result<i64> {
            let version = "SELECT version FROM accounts WHERE one";
            Ok(sqlx::query_scalar(version).fetch_one(connection).await?)
        }

        pub(super) async fn forget_sessions(
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

pub(in crate::store) use session_statements;
