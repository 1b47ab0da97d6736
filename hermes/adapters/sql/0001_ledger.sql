-- The ledger: every accepted message, every acknowledged inbound PDU, every state, and the time.
--
-- message, message_body, attempt and event are partitioned by message id, inbound by its own id:
-- the ids are UUIDv7, so a range of ids is a range of time, a look-up by id touches one partition
-- and dropping a day takes the whole history of its messages. No foreign key joins them: each is
-- written together with its parent in one transaction, and a check per row would cost more than
-- the insert itself.

create table tenant (
    id text primary key check (id ~ '^[a-z0-9-]{1,32}$'),
    name text not null default '',
    settings json not null default '{}',
    created_at timestamptz not null default now(),
    suspended_at timestamptz
);

create table api_key (
    id text primary key check (id ~ '^[A-Za-z0-9-]{1,64}$'),
    tenant text not null references tenant (id),
    hash bytea not null,
    mode text not null default 'live' check (mode in ('live', 'test')),
    label text not null default '',
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create index api_key_tenant on api_key (tenant);

-- Written first in the transaction that accepts a message; who loses here is answered from it.
create table idempotency (
    tenant text not null,
    key text not null,
    body_hash bytea not null,
    message uuid not null,
    created_at timestamptz not null default now(),
    primary key (tenant, key)
);
create index idempotency_created on idempotency (created_at);

create table message (
    id uuid not null,
    tenant text not null,
    api_key text,
    state text not null default 'accepted' check (state in (
        'accepted', 'processing', 'delivered', 'undelivered', 'failed', 'expired', 'cancelled',
        'unknown', 'sent')),
    traffic text not null check (traffic in ('otp', 'transactional', 'marketing')),
    segments smallint not null check (segments > 0),
    -- Success of each step of the plan, joined by commas: what the fold needs after erasure too.
    success text not null,
    accepted_at timestamptz not null,
    send_at timestamptz,
    expires_at timestamptz not null,
    done_at timestamptz,
    reference text,
    traceparent text,
    possible_duplicate boolean not null default false,
    reason_code text,
    reason_text text,
    -- The ledger clock of a message that has no live attempt: admit | start | route.
    next_at timestamptz,
    next_action text check (next_action in ('admit', 'start', 'route')),
    -- The cascade engine that took the message over, and the awakeable that resolves late outcomes.
    cascade_owner text,
    cascade_late text,
    primary key (id)
) partition by range (id);
create index message_tenant on message (tenant, id);
create index message_clock on message (next_at) where next_at is not null;

-- Text and addresses live here alone, so that they can be erased or kept for another time.
create table message_body (
    message uuid not null,
    recipient text not null,
    sender text,
    body text not null,
    plan json not null,
    primary key (message)
) partition by range (message);

create table attempt (
    message uuid not null,
    step smallint not null,
    n smallint not null,
    tenant text not null,
    carrier text,
    bind text,
    host text,
    -- Rank in the lattice of states (hermes.core.state.AttemptState).
    state smallint not null default 0,
    segments smallint not null check (segments > 0),
    -- By segment index; null where nothing is known yet.
    segment_states smallint[],
    segment_ids text[],
    segment_reasons text[],
    -- The segments a resend carries; null means all of them.
    only_segments smallint[],
    queued_at timestamptz not null default now(),
    sent_at timestamptz,
    done_at timestamptz,
    expires_at timestamptz not null,
    reason_code text,
    reason_text text,
    possible_duplicate boolean not null default false,
    -- Where the job was stored on the belt: live = this sequence is still in this very stream.
    stream_created timestamptz,
    job_seq bigint,
    next_at timestamptz,
    next_action text check (next_action in (
        'republish', 'retry', 'resolve_uncertain', 'receipt_timeout', 'expire')),
    price_amount numeric,
    price_currency text,
    -- The awakeable of the cascade step; never shown, never logged.
    token text,
    primary key (message, step, n)
) partition by range (message);
create index attempt_clock on attempt (next_at) where next_at is not null;

create table event (
    message uuid not null,
    id uuid not null,
    step smallint not null,
    n smallint not null,
    segment smallint,
    kind text not null,
    at timestamptz not null,
    recorded_at timestamptz not null default now(),
    host text not null,
    actor text not null,
    boot text,
    carrier text,
    carrier_message_id text,
    reason_code text,
    reason_text text,
    price_amount numeric,
    price_currency text,
    primary key (message, id)
) partition by range (message);
-- Receipts whose correlation is lost. Events are only ever inserted, so this index is written once
-- per accepted segment; on attempt it would be rewritten with every version of the row.
create index event_carrier_message_id on event (carrier_message_id, carrier)
    where kind = 'sent' and carrier_message_id is not null;

create table inbound (
    id uuid not null,
    carrier text not null,
    bind text not null,
    host text not null,
    received_at timestamptz not null,
    raw bytea not null,
    partition smallint not null,
    kind text not null,
    processed_at timestamptz,
    result text,
    primary key (id)
) partition by range (id);
create index inbound_unprocessed on inbound (partition, id) where processed_at is null;

create table suppression (
    tenant text not null,
    channel text not null,
    address text not null,
    reason text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    primary key (tenant, channel, address)
);

create table webhook_endpoint (
    id uuid primary key default gen_random_uuid(),
    tenant text not null references tenant (id),
    url text not null,
    -- A reference ({env|file|credential|vault}), never the secret itself.
    secret json,
    -- Message states to tell; null means every final one.
    states text[],
    created_at timestamptz not null default now(),
    disabled_at timestamptz
);
create index webhook_endpoint_tenant on webhook_endpoint (tenant) where disabled_at is null;

create table webhook_outbox (
    id uuid primary key default gen_random_uuid(),
    tenant text not null,
    endpoint uuid not null,
    message uuid not null,
    state text not null,
    reference text,
    reason_code text,
    reason_text text,
    possible_duplicate boolean not null default false,
    at timestamptz not null default now(),
    tries integer not null default 0,
    next_at timestamptz default now(),
    delivered_at timestamptz,
    last_error text,
    unique (message, endpoint, state)
);
create index webhook_outbox_due on webhook_outbox (next_at) where next_at is not null;

-- What operators decided at run time (paused, draining, rate): survives every restart.
create table override (
    kind text not null,
    subject text not null,
    value json not null,
    decided_by text not null,
    decided_at timestamptz not null default now(),
    primary key (kind, subject)
);

create table plugin (
    id text not null,
    version text not null,
    sha256 bytea not null,
    manifest json not null,
    module bytea,
    state text not null default 'staged' check (state in (
        'staged', 'active', 'draining', 'retired')),
    installed_at timestamptz not null default now(),
    primary key (id, version)
);
create unique index plugin_active on plugin (id) where state = 'active';

create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject text not null,
    detail json not null default '{}'
);
create index audit_subject on audit (subject, at);
