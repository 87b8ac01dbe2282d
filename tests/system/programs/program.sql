pragma journal_mode = wal;
create table item (id integer primary key, name text not null, price real, note blob);
create table sale (item integer references item, day text, count integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
insert into item select i, 'item ' || i, round(i * 1.37, 2), zeroblob(i % 5) from n;
insert into sale select id, date('2024-01-01', '+' || (id % 366) || ' days'), id % 7 from item;
create index sale_day on sale (day);
create trigger no_delete before delete on item begin select raise(abort, 'items stay'); end;
delete from item where id = 1;
select count(*), sum(count), min(day), max(day) from sale;
select substr(day, 1, 7) as month, sum(count * price) from sale join item on item = id group by month order by month;
begin; update item set price = price * 2; savepoint s; update item set name = 'x'; rollback to s; commit;
select id, name, price, row_number() over (order by price desc) from item where id % 1000 = 0;
create virtual table texts using fts5(body);
insert into texts values ('the quick brown fox'), ('jumps over the lazy dog');
select rowid from texts where texts match 'lazy';
pragma integrity_check;
pragma wal_checkpoint(truncate);
vacuum;
.dump
