import { randomUUID } from 'node:crypto';
import { EntityManager, LockMode } from '@mikro-orm/core';
import { Clock, Logger, type Timer } from 'signalbox';
import { injectable } from 'tsyringe';
import { Room } from '../entities/room.js';
import { User } from '../entities/user.js';
import { Visit } from '../entities/visit.js';
import { roomsVisibleTo } from './visible-rooms.js';

/** Milliseconds after which the visits of a process without a heartbeat end. The clocks of machines must differ by less. */
const LEASE = 30_000;
/** Milliseconds between two heartbeats. */
const BEAT = 10_000;

/** A user in a room, as far as this process knows. */
interface LocalVisit {
  readonly room: number;
  readonly user: number;
  readonly connections: Set<object>;
}

/**
 * Keeps the users of each room. A user is in a room from the first connection that enters to the last one that leaves, in any
 * process. Each process counts its own connections, and writes a row for each user and room that is visited through it.
 * `Room.currentUsers`, which all users in the room observe, lists the users who have a visit.
 */
@injectable()
export class Presence {
  private readonly process = randomUUID();
  private readonly visits = new Map<string, LocalVisit>();
  private readonly writes = new Map<number, Promise<void>>();
  private beating: Promise<void> = Promise.resolve();
  private timer: Timer | undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** After a crash the rooms still list the users who were inside. */
  async start(): Promise<void> {
    await this.endExpired();
    this.beatLater();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    await this.beating;
    const left = [...this.visits.values()];
    this.visits.clear();
    await Promise.all(left.map(({ room, user }) => this.settle(room, user)));
    await Promise.all(this.writes.values());
  }

  /** @param connection the same connection may enter or leave twice; only the first time counts */
  async enter(room: number, user: number, connection: object): Promise<void> {
    const key = keyOf(room, user);
    const visit = this.visits.get(key) ?? { room, user, connections: new Set() };
    visit.connections.add(connection);
    this.visits.set(key, visit);
    await this.settle(room, user);
  }

  async leave(room: number, user: number, connection: object): Promise<void> {
    const key = keyOf(room, user);
    const visit = this.visits.get(key);
    visit?.connections.delete(connection);
    if (visit?.connections.size === 0) this.visits.delete(key);
    await this.settle(room, user);
  }

  /** Removes a user who may no longer be in a room, with all connections in all processes. */
  async expel(room: number, user: number): Promise<void> {
    this.visits.delete(keyOf(room, user));
    await this.update(room, (em) => em.nativeDelete(Visit, { room, user }));
  }

  /** Writes a heartbeat, and ends the visits of processes without one. Called every 10 seconds. */
  async beat(): Promise<void> {
    try {
      await this.renew();
      await this.endExpired();
    } catch (error) {
      this.logger.warn('Who is in which room could not be renewed; it is tried again.', { error });
    }
  }

  /** Stores whether this process has connections of the user in the room. */
  private settle(room: number, user: number): Promise<void> {
    return this.update(room, async (em) => {
      const key = keyOf(room, user);
      // Another process may have expelled the user.
      const isVisible = await em.count(Room, { $and: [{ id: room }, roomsVisibleTo({ id: user })] });
      if (!isVisible) this.visits.delete(key);
      const visit = { process: this.process, room, user };
      if (this.visits.has(key)) await em.upsert(Visit, { ...visit, expiresAt: this.expiry() });
      else await em.nativeDelete(Visit, visit);
    });
  }

  /**
   * Changes the visits of a room, and then lists the users who visit it. Updates run one after the other: by the lock in all
   * processes, and by the queue in this one, because waiting for the lock would hold connections of the pool.
   */
  private update(roomId: number, change: (em: EntityManager) => Promise<unknown>): Promise<void> {
    const before = this.writes.get(roomId) ?? Promise.resolve();
    const write = before.then(() =>
      this.em.fork().transactional(async (em) => {
        const room = await em.findOne(Room, roomId, { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (!room) return;
        await change(em);
        await em.nativeDelete(Visit, { room, expiresAt: { $lte: this.clock.now() } });
        const visits = await em.find(Visit, { room });
        await room.currentUsers.init();
        room.currentUsers.set(visits.map(({ user }) => em.getReference(User, user.id)));
      }),
    );
    const settled = write.catch(() => undefined);
    this.writes.set(roomId, settled);
    void settled.then(() => this.writes.get(roomId) === settled && this.writes.delete(roomId));
    return write;
  }

  private beatLater(): void {
    this.timer = this.clock.after(BEAT, () => {
      this.beating = this.beat().then(() => this.beatLater());
    });
  }

  private async renew(): Promise<void> {
    if (this.visits.size === 0) return;
    const expiresAt = this.expiry();
    const renewed = await this.em.fork().nativeUpdate(Visit, { process: this.process }, { expiresAt });
    if (renewed >= this.visits.size) return;
    // Another process has ended the visits: it expelled a user, or this process wrote no heartbeat for too long.
    await Promise.all([...this.visits.values()].map(({ room, user }) => this.settle(room, user)));
  }

  /** Ends the visits of processes that were killed. */
  private async endExpired(): Promise<void> {
    const expired = await this.em.fork().find(Visit, { expiresAt: { $lte: this.clock.now() } });
    const rooms = new Set(expired.map(({ room }) => room.id));
    await Promise.all([...rooms].map((room) => this.update(room, async () => undefined)));
  }

  private expiry(): Date {
    return new Date(this.clock.now().getTime() + LEASE);
  }
}

function keyOf(room: number, user: number): string {
  return `${room}/${user}`;
}
