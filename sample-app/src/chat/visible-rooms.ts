import type { FilterQuery } from '@mikro-orm/core';
import type { Room } from '../entities/room.js';

/** The rooms that exist for a user: those that are open to everybody, and the private ones that the user is a member of. */
export function roomsVisibleTo(user: { readonly id: number }): FilterQuery<Room> {
  return { $or: [{ isPrivate: false }, { members: { $some: { id: user.id } } }] };
}
