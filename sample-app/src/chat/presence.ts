import { EntityManager } from '@mikro-orm/core';
import { injectable } from 'tsyringe';
import { Room } from '../entities/room.js';
import { User } from '../entities/user.js';

/**
 * Who is in which room: a user is, from the first connection that enters to the last one that leaves. The connections of
 * this process are known here; the result is written to Room.currentUsers, which everybody in the room observes.
 */
@injectable()
export class Presence {
  private readonly visits = new Map<string, Set<object>>();
  private readonly writes = new Map<number, Promise<void>>();

  constructor(private readonly em: EntityManager) {}

  /** After a crash the rooms still list those who were inside. */
  async start(): Promise<void> {
    const em = this.em.fork();
    const rooms = await em.find(Room, { currentUsers: { $some: {} } }, { populate: ['currentUsers'] });
    for (const room of rooms) room.currentUsers.removeAll();
    await em.flush();
  }

  /** @param visit the connection; entering or leaving twice is no different from once */
  async enter(room: number, user: number, visit: object): Promise<void> {
    const key = keyOf(room, user);
    this.visits.set(key, (this.visits.get(key) ?? new Set()).add(visit));
    await this.settle(room, user);
  }

  async leave(room: number, user: number, visit: object): Promise<void> {
    const key = keyOf(room, user);
    const visits = this.visits.get(key);
    visits?.delete(visit);
    if (visits?.size === 0) this.visits.delete(key);
    await this.settle(room, user);
  }

  /** Whoever may no longer be in a room is not in it, with however many connections. */
  async expel(room: number, user: number): Promise<void> {
    this.visits.delete(keyOf(room, user));
    await this.settle(room, user);
  }

  /**
   * One write of a room after the other, and each writes what holds when its turn comes: so the last one is right, however
   * quickly somebody leaves and comes back.
   */
  private settle(room: number, user: number): Promise<void> {
    const before = this.writes.get(room) ?? Promise.resolve();
    const write = before.then(() => this.write(room, user));
    const settled = write.catch(() => undefined);
    this.writes.set(room, settled);
    void settled.then(() => this.writes.get(room) === settled && this.writes.delete(room));
    return write;
  }

  private async write(roomId: number, userId: number): Promise<void> {
    const em = this.em.fork();
    const room = await em.findOne(Room, roomId, { populate: ['currentUsers'] });
    if (!room) return;
    const user = em.getReference(User, userId);
    const isInside = this.visits.has(keyOf(roomId, userId));
    if (isInside) room.currentUsers.add(user);
    else room.currentUsers.remove(user);
    await em.flush();
  }
}

function keyOf(room: number, user: number): string {
  return `${room}/${user}`;
}
