-- What the cascade engine has to be told: a row for each step whose state changed, and one with
-- step -1 for each message that ended or left a step behind. It says only that there is news; what
-- the news is, the ledger tells at the time it is read. A row goes when its news is told and no
-- other came meanwhile, which its version shows.
create table cascade_news (
    message uuid not null,
    step smallint not null,
    version bigint not null default 1,
    next_at timestamptz not null default now(),
    primary key (message, step)
);
create index cascade_news_due on cascade_news (next_at);
