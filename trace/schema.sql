-- The kaal trace file, format 2: one SQLite database, extension .kaal.
--
-- This file is the format's documentation and what the recorder runs to create a trace. `sqlite3 T.kaal .schema` prints it
-- back from any trace, comments inside the tables included.
--
--   icount      a position: instructions retired since reset, on all vCPUs together, from 0.
--   addresses   64-bit registers are stored as SQLite's signed integers; printf('%x', pc) shows them as an address.
--   order       rows of every table stand in the order in which they happened: rowids count from 1 without a gap and icount
--               never falls, so a position is found by bisection and no table carries an index of icounts.
--   deflated    raw DEFLATE (RFC 1951): zlib.decompress(x, -15) in Python.
--
-- Format 1, which is read as well, had a table uart with the columns of the view of that name, and no uart_runs. Its machines say nothing of
-- snapshotPageInstructions, which is 0 there: snapshots whatever they cost, the first with all pages as loaded.
--
-- A recorder commits whole batches with all their rows. A trace whose recorder was killed is therefore a valid trace up to its
-- last batch; meta.finished says 0 and there is no seal.

PRAGMA page_size = 1024; -- small traces stay small, and pages of guest RAM deflated to a kilobyte or two waste little
PRAGMA application_id = 0x6b61616c; -- 'kaal'
PRAGMA user_version = 2; -- the format

-- What was recorded, by whom, and how it ended.
--   format        integer  the format's number, equal to user_version
--   kaal          text     version of kaal that recorded it
--   uuid          text     identity of this recording
--   machine       blob     the machine's configuration, msgpack; snapshotInterval and snapshotPageInstructions say when snapshots
--                          are due (replay/snapshot-policy.ts)
--   finished      integer  0 while recording, or after the recorder was killed; 1 after a clean end
-- and once finished:
--   instructions  integer  instructions retired: the last position
--   final_digest  text     sha256 over the last chained digest, the instruction count and all of guest memory, in hex (see digest.ts)
--   commits       blob     where the recorder committed before its end: msgpack of a list, the number of batches and snapshots written by then,
--                          each less the one before; missing if it is empty. How rows lie in the file depends on it, and nothing else
--   seal          blob     sha256 of this whole file with these 32 bytes read as zeros: finds any flipped bit
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Everything that was loaded into the machine: a trace needs no other file.
CREATE TABLE images (
  id INTEGER PRIMARY KEY, -- from 1
  role TEXT NOT NULL, -- kernel, initrd, dtb, firmware or disk
  name TEXT NOT NULL, -- file name it was given by, for people
  sha256 BLOB NOT NULL, -- of the image, 32 bytes
  size INTEGER NOT NULL, -- of the image, in bytes
  data BLOB NOT NULL -- the image, deflated
) STRICT;

-- Runs of instructions on one vCPU: count instructions from icount on. A count of 0 is possible.
CREATE TABLE batches (
  n INTEGER PRIMARY KEY, -- from 1
  icount INTEGER NOT NULL, -- first position: the sum of all earlier counts
  count INTEGER NOT NULL, -- instructions retired
  vcpu INTEGER NOT NULL, -- from 0
  pc INTEGER NOT NULL, -- of that vCPU at the end
  ended TEXT NOT NULL, -- interrupt, input, idle, switch, snapshot, limit, power-off, reset or stopped
  digest INTEGER NOT NULL -- chained 64-bit digest d[n]: printf('%016x', digest)
) STRICT;

-- Interrupts taken.
CREATE TABLE interrupts (
  icount INTEGER NOT NULL,
  vcpu INTEGER NOT NULL,
  intid INTEGER NOT NULL, -- the GIC's interrupt number
  pc INTEGER NOT NULL, -- preferred return address
  el INTEGER NOT NULL -- exception level it was taken from
) STRICT;

-- Faults: aborts, undefined instructions and other unexpected exceptions; not SVC and HVC.
CREATE TABLE exceptions (
  icount INTEGER NOT NULL,
  vcpu INTEGER NOT NULL,
  kind TEXT NOT NULL, -- data-abort, instruction-abort, undefined, …
  esr INTEGER NOT NULL, -- syndrome
  far INTEGER NOT NULL, -- fault address
  elr INTEGER NOT NULL -- return address
) STRICT;

-- Bytes through the PL011, many to a row, since a row each would cost ten times as much to write and to keep. The view uart below has a row for each.
CREATE TABLE uart_runs (
  n INTEGER PRIMARY KEY, -- from 1
  icount INTEGER NOT NULL, -- of its first byte
  events BLOB NOT NULL -- per byte four bytes, big-endian: (icount - the row's icount) << 9 | direction << 8 | byte; up to 2048 of them
) STRICT;

-- The bytes one by one. Columns:
--   run, i        where it stands: uart_runs.n, and which of its bytes, from 0; ORDER BY run, i for the order of events
--   icount
--   direction     0 out: the guest wrote it; 1 in: it came from the host
--   byte
CREATE VIEW uart(run, i, icount, direction, byte) AS
  WITH RECURSIVE
    place(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM place WHERE i < 2047),
    digits(n, i, icount, h) AS (
      SELECT n, i, icount, hex(substr(events, 4 * i + 1, 4)) FROM uart_runs, place WHERE 4 * i < length(events)
    ),
    -- A digit that instr does not find is 0.
    parts(n, i, icount, high, low, byte) AS (
      SELECT n, i, icount,
        256 * instr('123456789ABCDEF', substr(h, 1, 1))
          + 16 * instr('123456789ABCDEF', substr(h, 2, 1)) + instr('123456789ABCDEF', substr(h, 3, 1)),
        256 * instr('123456789ABCDEF', substr(h, 4, 1))
          + 16 * instr('123456789ABCDEF', substr(h, 5, 1)) + instr('123456789ABCDEF', substr(h, 6, 1)),
        16 * instr('123456789ABCDEF', substr(h, 7, 1)) + instr('123456789ABCDEF', substr(h, 8, 1))
      FROM digits
    )
  SELECT n, i, icount + 2048 * high + low / 2, low & 1, byte FROM parts;

-- All that came from outside: with the machine and its images, everything a replay needs.
CREATE TABLE inputs (
  icount INTEGER NOT NULL, -- position at which the guest could first see it
  source TEXT NOT NULL, -- device or service it goes to: uart, rtc, …
  payload BLOB NOT NULL -- as that source defines it
) STRICT;

-- The machine at a batch boundary.
CREATE TABLE snapshots (
  n INTEGER PRIMARY KEY, -- from 1
  icount INTEGER NOT NULL,
  batch INTEGER NOT NULL, -- batches.n of the batch at whose end it was taken; 0: before the first
  inputs INTEGER NOT NULL, -- rows of inputs that the machine had been given by then
  base INTEGER, -- snapshot whose pages these change; NULL: the list is complete
  state BLOB NOT NULL, -- processor and devices: msgpack {block: {field: word or [words]}}, deflated
  pages BLOB NOT NULL -- msgpack [page, id, page, id, …], by rising page number in RAM; id is pages.id.
  -- A page that neither this list nor its base names is as it was at position 0.
) STRICT;

-- Pages of guest RAM, each content once.
CREATE TABLE pages (
  id INTEGER PRIMARY KEY, -- from 1
  sha256 BLOB NOT NULL, -- of the page, 32 bytes
  data BLOB NOT NULL -- the page, deflated; 4096 bytes are the page itself
) STRICT;
