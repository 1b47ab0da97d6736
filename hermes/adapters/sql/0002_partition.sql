-- Daily partitions of the ledger. A DEFAULT partition takes what no day fits, so that no insert
-- ever fails; making the day later moves those rows into it.

create function ledger_floor(at timestamptz) returns uuid
language sql immutable strict parallel safe as $$
    -- The lowest UUIDv7 of that millisecond.
    select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0')
        || '00000000000000000000')::uuid
$$;

create function ledger_partition_key(parent text) returns text
language sql immutable strict as $$
    select case when parent in ('message', 'inbound') then 'id' else 'message' end
$$;

do $$
declare parent text;
begin
    foreach parent in array array['message', 'message_body', 'attempt', 'event', 'inbound'] loop
        execute format('create table %I partition of %I default', parent || '_default', parent);
    end loop;
end $$;

-- Makes the partitions of one UTC day that are missing; gives how many were made.
create function ledger_ensure_day(day date) returns integer
language plpgsql set lock_timeout = '3s' as $$
declare
    parent text;
    child text;
    key text;
    low uuid := ledger_floor(day::timestamp at time zone 'UTC');
    high uuid := ledger_floor((day + 1)::timestamp at time zone 'UTC');
    made integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('hermes.ledger_partition'));
    foreach parent in array array['message', 'message_body', 'attempt', 'event', 'inbound'] loop
        child := parent || '_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(child) is not null;
        key := ledger_partition_key(parent);
        -- Built beside its parent and then attached: "partition of" would stop every insert.
        execute format('create table %I (like %I including all) with (fillfactor = 80, '
            'autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)',
            child, parent);
        execute format('lock table %I in access exclusive mode', parent || '_default');
        execute format('with moved as (delete from %I where %I >= %L and %I < %L returning *) '
            'insert into %I select * from moved',
            parent || '_default', key, low, key, high, child);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, child, low, high);
        made := made + 1;
    end loop;
    return made;
end $$;

create function ledger_ensure_partitions(from_day date, to_day date) returns integer
language sql as $$
    select coalesce(sum(ledger_ensure_day(day::date)), 0)::integer
    from generate_series(from_day::timestamp, to_day::timestamp, interval '1 day') as day
$$;

-- The UTC days that have partitions.
create function ledger_days() returns setof date
language sql stable as $$
    select to_date(right(child.relname, 8), 'YYYYMMDD')
    from pg_inherits i join pg_class child on child.oid = i.inhrelid
    where i.inhparent = 'message'::regclass and child.relname ~ '^message_[0-9]{8}$'
    order by 1
$$;

-- Drops a day with the whole history of its messages; false, and nothing dropped, while one of
-- them is open, has a clock running, or an inbound PDU of that day waits to be processed.
create function ledger_drop_partition(day date) returns boolean
language plpgsql set lock_timeout = '3s' as $$
declare
    suffix text := '_' || to_char(day, 'YYYYMMDD');
    parent text;
    is_open boolean;
begin
    perform pg_advisory_xact_lock(hashtext('hermes.ledger_partition'));
    if to_regclass('message' || suffix) is null then
        return false;
    end if;
    execute format('lock table %I, %I, %I in share row exclusive mode',
        'message' || suffix, 'attempt' || suffix, 'inbound' || suffix);
    execute format('select exists (select from %I where state in (''accepted'', ''processing'')'
        ' or next_at is not null) or exists (select from %I where next_at is not null)'
        ' or exists (select from %I where processed_at is null)',
        'message' || suffix, 'attempt' || suffix, 'inbound' || suffix) into is_open;
    if is_open then
        return false;
    end if;
    foreach parent in array array['message', 'message_body', 'attempt', 'event', 'inbound'] loop
        execute format('drop table %I', parent || suffix);
    end loop;
    return true;
end $$;

-- Erases text and addresses of a day none of whose messages is open; false if there is nothing to
-- erase or one is open. The history stays.
create function ledger_erase_bodies(day date) returns boolean
language plpgsql set lock_timeout = '3s' as $$
declare
    suffix text := '_' || to_char(day, 'YYYYMMDD');
    is_due boolean;
begin
    if to_regclass('message_body' || suffix) is null then
        return false;
    end if;
    execute format('select exists (select from %I) and not exists'
        ' (select from %I where state in (''accepted'', ''processing''))',
        'message_body' || suffix, 'message' || suffix) into is_due;
    if is_due then
        execute format('truncate %I', 'message_body' || suffix);
    end if;
    return is_due;
end $$;
