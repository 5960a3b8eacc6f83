import type { FilterQuery } from '@mikro-orm/core';
import type { Room } from '../entities/room.js';

/** The rooms that exist for a user: the public ones, and the private ones of which the user is a member. */
export function roomsVisibleTo(user: { readonly id: number }): FilterQuery<Room> {
  return { $or: [{ isPrivate: false }, { members: { $some: { id: user.id } } }] };
}
