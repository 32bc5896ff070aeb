-- 1,000 clients. Those without a phone cannot be sent a code, and the table says so: for them, turning it on fails.
create table client (
    id          integer primary key,
    phone       varchar(20),
    auth        varchar(3) not null default 'off',
    code_length integer not null default 0,
    constraint codes_need_a_phone check (auth = 'off' or phone is not null)
);
-- A row for each time that a client was handled.
create table auth_log (client integer not null, op varchar(10) not null);
create table digit (d integer);
insert into digit values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
insert into client (id, phone)
    select 1 + a.d + 10 * b.d + 100 * c.d, '+49 30 901820' from digit a, digit b, digit c;
drop table digit;
