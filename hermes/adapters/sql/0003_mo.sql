-- Messages from handsets (MO), whole. Their PDUs stay in inbound: a part that waits for the others
-- of its message has the result 'part' there and is not processed yet.

create table mo (
    -- The id of its first PDU in inbound.
    id uuid primary key,
    carrier text not null,
    source text not null,
    destination text not null,
    -- Null for binary data; octets are those behind the user data header.
    text text,
    octets bytea not null,
    data_coding smallint not null,
    total smallint not null,
    missing smallint[] not null,
    problems text[] not null,
    received_at timestamptz not null,
    stored_at timestamptz not null default now()
);
create index mo_stored on mo (stored_at);
create index inbound_orphan on inbound (id) where result = 'orphan';
create index inbound_part on inbound (partition, id)
    where processed_at is null and result = 'part';
