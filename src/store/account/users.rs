//! Users: the same statements for both stores.

/// Defines them for one driver's connection.
macro_rules! user_statements {
    ($connection:ty) => {
        use uuid::Uuid;

        use super::links::{drop_links, insert_link};
        use super::sessions::end_sessions;
        use super::super::rows;
        use crate::domain::Timestamp;
        use crate::domain::id::{SessionId, UserId};
        use crate::domain::user::{PasswordHash, Role, User};
        use crate::store::{Link, Moved, Page, PageRequest, Position, Result, UserChanged, UserCreated, codec};
        use crate::store::rows::At;

        pub(super) async fn raise(connection: &mut $connection) -> Result<i64> {
            let raised = "UPDATE accounts SET version = version + 1 WHERE one RETURNING version";
            Ok(sqlx::query_scalar(raised).fetch_one(connection).await?)
        }

        pub(super) async fn any_user(connection: &mut $connection) -> Result<bool> {
            let any = "SELECT EXISTS (SELECT 1 FROM users)";
            Ok(sqlx::query_scalar(any).fetch_one(connection).await?)
        }

        pub(super) async fn insert_user(
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

        /// Whether somebody else administers who can sign in where this one can.
        pub(super) async fn leaves_an_admin(connection: &mut $connection, id: UserId) -> Result<bool> {
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

        pub(super) async fn create_user(
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

        pub(super) async fn user(connection: &mut $connection, id: UserId) -> Result<Option<User>> {
            let found = sqlx::query("SELECT * FROM users WHERE id = $1")
                .bind(id.0)
                .fetch_optional(connection)
                .await?;
            found.as_ref().map(rows::user).transpose()
        }

        pub(super) async fn user_by_email(connection: &mut $connection, email: &str) -> Result<Option<User>> {
            let found = sqlx::query("SELECT * FROM users WHERE email = $1")
                .bind(email.to_owned())
                .fetch_optional(connection)
                .await?;
            found.as_ref().map(rows::user).transpose()
        }

        pub(super) async fn list_users(
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

        pub(super) async fn update_user(connection: &mut $connection, user: &User) -> Result<UserChanged> {
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

        pub(super) async fn delete_user(
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

        pub(super) async fn set_password(
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

        pub(super) async fn note_sign_in(connection: &mut $connection, user: &User) -> Result<()> {
            sqlx::query("UPDATE users SET places = $2, signed_in_at = $3 WHERE id = $1")
                .bind(user.id.0)
                .bind(codec::places_text(&user.places))
                .bind(user.signed_in_at.map(At))
                .execute(connection)
                .await?;
            Ok(())
        }
    };
}

pub(in crate::store) use user_statements;
