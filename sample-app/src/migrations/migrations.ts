import { AddPrivateRooms } from './add-private-rooms.js';
import { AddVisits } from './add-visits.js';
import { CreateAccounts } from './create-accounts.js';
import { CreateRooms } from './create-rooms.js';

/** Applied in this order, each once. Add new ones to the end, and never change a migration that was applied somewhere. */
export const migrations = [
  { name: '0001-create-accounts', class: CreateAccounts },
  { name: '0002-create-rooms', class: CreateRooms },
  { name: '0003-add-private-rooms', class: AddPrivateRooms },
  { name: '0004-add-visits', class: AddVisits },
];
