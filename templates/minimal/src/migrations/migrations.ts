import { CreateTasks } from './create-tasks.js';

/** Applied in this order, each once. Add to the end; a migration that was applied somewhere never changes again. */
export const migrations = [{ name: '0001-create-tasks', class: CreateTasks }];
