/** The tables of format 1, as its recorder wrote them: to restore such a trace, comments inside the tables included. */

/** What a recorder of format 1 ran to create a trace. */
export const SCHEMA_1 = `
PRAGMA page_size = 1024;
PRAGMA application_id = 0x6b61616c;
PRAGMA user_version = 1;
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY, -- from 1
  role TEXT NOT NULL, -- kernel, initrd, dtb, firmware or disk
  name TEXT NOT NULL, -- file name it was given by, for people
  sha256 BLOB NOT NULL, -- of the image, 32 bytes
  size INTEGER NOT NULL, -- of the image, in bytes
  data BLOB NOT NULL -- the image, deflated
) STRICT;
CREATE TABLE batches (
  n INTEGER PRIMARY KEY, -- from 1
  icount INTEGER NOT NULL, -- first position: the sum of all earlier counts
  count INTEGER NOT NULL, -- instructions retired
  vcpu INTEGER NOT NULL, -- from 0
  pc INTEGER NOT NULL, -- of that vCPU at the end
  ended TEXT NOT NULL, -- interrupt, input, idle, switch, snapshot, limit, power-off, reset or stopped
  digest INTEGER NOT NULL -- chained 64-bit digest d[n]: printf('%016x', digest)
) STRICT;
CREATE TABLE interrupts (
  icount INTEGER NOT NULL,
  vcpu INTEGER NOT NULL,
  intid INTEGER NOT NULL, -- the GIC's interrupt number
  pc INTEGER NOT NULL, -- preferred return address
  el INTEGER NOT NULL -- exception level it was taken from
) STRICT;
CREATE TABLE exceptions (
  icount INTEGER NOT NULL,
  vcpu INTEGER NOT NULL,
  kind TEXT NOT NULL, -- data-abort, instruction-abort, undefined, …
  esr INTEGER NOT NULL, -- syndrome
  far INTEGER NOT NULL, -- fault address
  elr INTEGER NOT NULL -- return address
) STRICT;
CREATE TABLE uart (
  icount INTEGER NOT NULL,
  direction INTEGER NOT NULL, -- 0 out: the guest wrote it; 1 in: it came from the host
  byte INTEGER NOT NULL
) STRICT;
CREATE TABLE inputs (
  icount INTEGER NOT NULL, -- position at which the guest could first see it
  source TEXT NOT NULL, -- device or service it goes to: uart, rtc, …
  payload BLOB NOT NULL -- as that source defines it
) STRICT;
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
CREATE TABLE pages (
  id INTEGER PRIMARY KEY, -- from 1
  sha256 BLOB NOT NULL, -- of the page, 32 bytes
  data BLOB NOT NULL -- the page, deflated; 4096 bytes are the page itself
) STRICT;
`
