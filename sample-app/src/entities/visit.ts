import type { Rel } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Room } from './room.js';
import { User } from './user.js';

/** A user is in a room, with connections to this process. `Presence` derives `Room.currentUsers` from it. */
@Entity()
export class Visit {
  @PrimaryKey({ type: 'uuid' })
  process!: string;

  @ManyToOne(() => Room, { primary: true, deleteRule: 'cascade' })
  room!: Rel<Room>;

  @ManyToOne(() => User, { primary: true, deleteRule: 'cascade' })
  user!: Rel<User>;

  /** The process extends it as long as it lives. */
  @Property({ type: 'datetime', index: true })
  expiresAt!: Date;
}
