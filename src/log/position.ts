/**
 * How far in the log a reader has read: what one snapshot of the database saw. Numbers alone would not do. A transaction takes its number
 * before it commits, so that a reader that has seen number 7 may have to read number 5 later.
 *
 * A row of the log is seen if the snapshot sees its transaction and its id is not above `newest`. The second condition matters after a
 * crash of the server, which gives the numbers of transactions out again that had left no trace, but never the id of a committed row.
 */
export class Position {
  private constructor(
    /** Of this transaction and of later ones, the snapshot sees nothing. */
    readonly end: bigint,
    /** Earlier transactions that had not ended yet. */
    readonly open: readonly bigint[],
    /** The highest id among the rows that the snapshot saw, and those that were pruned before. */
    readonly newest: number,
  ) {}

  /** @param snapshot the text of a `pg_snapshot`: `xmin:xmax:xip,xip,…` */
  static of(snapshot: string, newest: number): Position {
    const [, end = '', open = ''] = snapshot.split(':');
    return new Position(BigInt(end), open === '' ? [] : open.split(',').map(BigInt), newest);
  }

  /** What this snapshot saw, where the rows up to another id are known to be seen. */
  upTo(newest: number): Position {
    return new Position(this.end, this.open, newest);
  }

  /** Whether the rows that the other one has seen are not all seen from here. */
  isBefore(other: Position): boolean {
    return other.newest > this.newest || other.end > this.end || this.open.some((xid) => other.#sees(xid));
  }

  #sees(xid: bigint): boolean {
    return xid < this.end && !this.open.includes(xid);
  }
}
