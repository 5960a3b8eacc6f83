import { CreateTasks } from './create-tasks.js';

/** Applied in this order, each once. Add new ones to the end, and never change a migration that was applied somewhere. */
export const migrations = [{ name: '0001-create-tasks', class: CreateTasks }];
