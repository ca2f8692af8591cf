//! Passwords are hashed and checked here: with Argon2id, off the threads that serve requests, and few at
//! a time, so that nobody who signs in slows deliveries down.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::error::{ApiError, Fault, Problem, Result};
use crate::clock;
use crate::domain::user::{self, PasswordHash};

/// KiB and passes of one hash, on one lane: OWASP's recommendation for Argon2id. Some 20 to 40 ms.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
/// One of so many cores hashes at most.
const CORES_FOR_ONE: usize = 4;
/// Requests that wait for a hash at most; further ones hear 503.
const LONGEST_QUEUE: usize = 64;
const SALT_BYTES: usize = 16;

/// No password has it, and to find that out takes as long as with any other.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static ARGON2: LazyLock<Option<Argon2<'static>>> = LazyLock::new(|| {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
});

/// See the module's documentation.
pub struct Passwords {
    at_once: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            at_once: Arc::new(Semaphore::new((cores / CORES_FOR_ONE).max(1))),
            waiting: Semaphore::new(LONGEST_QUEUE),
        }
    }
}

impl Passwords {
    /// What is to be kept of a user's new password, where it may be one.
    pub async fn hash_new(
        &self,
        password: Zeroizing<String>,
        email: &str,
        name: &str,
    ) -> Result<PasswordHash> {
        let password = normalized(&password);
        user::check_password(&password, email, name)
            .map_err(|problem| ApiError::invalid_body(vec![Fault::new("password", problem)]))?;
        self.hash(password).await
    }

    async fn hash(&self, password: Zeroizing<String>) -> Result<PasswordHash> {
        let hashed = self.run(move || hash(password.as_bytes())).await?;
        hashed.ok_or_else(|| {
            tracing::error!("a password cannot be hashed");
            ApiError::internal()
        })
    }

    /// Whether that is the password behind the hash. Takes as long where there is none, and then it
    /// never is.
    pub async fn check(
        &self,
        password: Zeroizing<String>,
        hash: Option<PasswordHash>,
    ) -> Result<bool> {
        self.run(move || {
            let kept = hash.as_ref().map_or(NOBODYS, PasswordHash::expose);
            let normal = normalized(&password);
            // As it came it was hashed at first.
            let is_it = is_password(normal.as_bytes(), kept)
                || (*normal != *password && is_password(password.as_bytes(), kept));
            is_it && hash.is_some()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = || {
            let message = "Too many people sign in at this moment; try again";
            ApiError::new(Problem::Overloaded, message)
        };
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.at_once).acquire_owned().await;
        let turn = turn.map_err(|_| ApiError::internal())?;
        let done = tokio::task::spawn_blocking(move || {
            // Ends with the work, also where nobody waits for it any more.
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "a password's hash was lost");
            ApiError::internal()
        })
    }
}

/// The same text whichever keyboard it was typed on: NFKC, as NIST SP 800-63B has it.
fn normalized(password: &str) -> Zeroizing<String> {
    // No buffer is left behind with a part of it: the longest of the forms of a character has eighteen.
    let mut normal = Zeroizing::new(String::with_capacity(password.len().saturating_mul(18)));
    normal.extend(password.nfkc());
    normal
}

fn hash(password: &[u8]) -> Option<PasswordHash> {
    let salt: [u8; SALT_BYTES] = clock::random_bytes();
    let hashed = ARGON2.as_ref()?.hash_password_with_salt(password, &salt);
    Some(PasswordHash::from_stored(hashed.ok()?.to_string()))
}

fn is_password(password: &[u8], kept: &str) -> bool {
    let Ok(kept) = phc::PasswordHash::new(kept) else {
        tracing::error!("a stored password's hash cannot be read");
        return false;
    };
    // How it was hashed stands in the hash.
    let argon2 = ARGON2.as_ref();
    argon2.is_some_and(|argon2| argon2.verify_password(password, &kept).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_no_other_is() {
        let passwords = Passwords::default();
        let hash = passwords.hash(text("correct horse")).await.unwrap();
        let kept = hash.expose();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(!kept.contains("correct"));
        let again = passwords.hash(text("correct horse")).await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        let check = async |password, hash: Option<&PasswordHash>| {
            let checked = passwords.check(text(password), hash.cloned());
            checked.await.unwrap()
        };
        assert!(check("correct horse", Some(&hash)).await);
        assert!(!check("Correct horse", Some(&hash)).await);
        assert!(!check("", Some(&hash)).await);
        assert!(!check("correct horse", None).await);
        let broken = PasswordHash::from_stored("$argon2id$broken".to_owned());
        assert!(!check("correct horse", Some(&broken)).await);
    }

    #[tokio::test]
    async fn a_password_is_the_same_whichever_keyboard_it_is_typed_on() {
        let passwords = Passwords::default();
        let typed = [
            "caf\u{e9} \u{fb01}sh 12",
            "cafe\u{301} fish \u{ff11}2",
            "caf\u{e9} fish 12",
        ];
        let check = async |password, hash: &PasswordHash| {
            let checked = passwords.check(text(password), Some(hash.clone()));
            checked.await.unwrap()
        };
        for one in typed {
            let hash = passwords.hash_new(text(one), "a@b.c", "A").await.unwrap();
            for other in typed {
                assert!(check(other, &hash).await, "{one:?} {other:?}");
            }
            assert!(!check("cafe fish 12", &hash).await, "an accent counts");
        }
        // Made before passwords were brought to one form.
        let old = hash(typed[1].as_bytes()).unwrap();
        assert!(check(typed[1], &old).await && !check(typed[0], &old).await);
        // That form has to be long enough.
        let refused = passwords
            .hash_new(text("e\u{301}".repeat(11).as_str()), "a@b.c", "A")
            .await;
        assert_eq!(refused.unwrap_err().problem(), Problem::InvalidBody);
    }

    #[test]
    fn whom_there_is_not_costs_as_much_as_whom_there_is() {
        let nobodys = phc::PasswordHash::new(NOBODYS).unwrap();
        let made = hash(b"a password").unwrap();
        let made = phc::PasswordHash::new(made.expose()).unwrap();
        assert_eq!(nobodys.algorithm, made.algorithm);
        assert_eq!(nobodys.params, made.params);
        let lengths = |hash: &phc::PasswordHash| {
            let salt = hash.salt.as_ref().map(|salt| salt.len());
            (salt, hash.hash.as_ref().map(|hash| hash.len()))
        };
        assert_eq!(lengths(&nobodys), lengths(&made));
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let passwords = Passwords {
            at_once: Arc::new(Semaphore::new(0)),
            waiting: Semaphore::new(1),
        };
        let first = passwords.hash(text("x"));
        let refused = async {
            let error = passwords.hash(text("x")).await.unwrap_err();
            assert_eq!(error.problem(), Problem::Overloaded);
            passwords.at_once.add_permits(1);
        };
        let (first, ()) = tokio::join!(first, refused);
        assert!(first.is_ok());
    }
}
