-- Users, their sessions, and the links that can be used once. SQLite has the same in
-- migrations/sqlite/0014_users.sql; the reasons are in docs/adr/0022-signing-in.md.

-- Raised by every change of a user or a session in the change's own transaction, so that a node
-- fetches only what it does not know yet. Whoever has its row changes alone.
CREATE TABLE accounts (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO accounts (version) VALUES (0);

CREATE TABLE users (
    created_at   timestamptz      NOT NULL,
    updated_at   timestamptz      NOT NULL,
    disabled_at  timestamptz,
    signed_in_at timestamptz,
    version      bigint           NOT NULL,
    id           uuid             NOT NULL PRIMARY KEY,
    email        text COLLATE "C" NOT NULL UNIQUE, -- in small letters
    name         text             NOT NULL,
    role         text             NOT NULL,
    password     text, -- Argon2id, in the PHC's form; none until an invitation is taken
    places       text             NOT NULL -- networks signed in from, parted by blanks
);

-- Links that can be used once: to set the relay up (no user), or to take an invitation.
CREATE TABLE user_links (
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    hash       bytea       NOT NULL PRIMARY KEY, -- SHA-256 of the token: 256 random bits
    user_id    uuid
);

CREATE TABLE sessions (
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL, -- roughly
    revoked_at   timestamptz,
    version      bigint      NOT NULL,
    id           uuid        NOT NULL PRIMARY KEY,
    hash         bytea       NOT NULL UNIQUE, -- SHA-256 of the token: 256 random bits
    user_id      uuid,
    key_id       uuid,
    proof        bytea, -- of the settings' admin key; from this alone nobody can guess it
    address      text        NOT NULL,
    user_agent   text,
    CHECK (num_nonnulls(user_id, key_id, proof) = 1)
);
CREATE INDEX sessions_version ON sessions (version);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_of_key ON sessions (key_id) WHERE key_id IS NOT NULL;

-- Of the user who did it; an entry has this or a key's.
ALTER TABLE audit_log ADD COLUMN user_id text;
