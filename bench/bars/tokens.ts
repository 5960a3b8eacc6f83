const users = new Map(Array.from({ length: 20_000 }, (_, id) => [tokenOf(id), String(id)]));

/** @param user from 0 to 19 999 */
export function tokenOf(user: number): string {
  return `token-${user.toString().padStart(32, '0')}`;
}

export function userOfToken(token: string): string | undefined {
  return users.get(token);
}
