import { findPackage, loadedModules, ownFolder, secondCopy } from '../copies.js';
import type { Class } from '../metadata.js';

const name = 'class-transformer';

/** The notes of one kind of decorator, by the class and its properties. */
type Notes = ReadonlyMap<unknown, ReadonlyMap<string, { readonly typeFunction?: () => unknown }>>;

/** Where one copy of class-transformer keeps what its decorators wrote. */
type Storage = Readonly<
  Record<'_typeMetadatas' | '_transformMetadatas' | '_exposeMetadatas' | '_excludeMetadatas', Notes>
>;

/**
 * `@Type`, `@Transform` and `@Expose` of another copy do nothing here: values are not converted, and views show nothing.
 *
 * @throws ConfigurationError for a class that bears them, and for one whose properties lead to such a class
 */
export function checkTransformer(owner: Class): void {
  const storages = storagesByFolder();
  if (storages.size < 2) return;
  const own = findPackage(name, ownFolder)?.folder ?? name;
  const others = [...storages].filter(([folder]) => folder !== own);
  for (const reached of reachedFrom(owner, storages.get(own))) {
    const [folder] = others.find(([, storage]) => hasNotes(storage, reached)) ?? [];
    if (folder !== undefined)
      throw secondCopy(reached.name, name, `has properties with decorators of the copy in ${folder}`, own);
  }
}

function storagesByFolder(): ReadonlyMap<string, Storage> {
  const loaded = [...loadedModules(name, 'cjs/storage.js')];
  return new Map(loaded.map(([folder, module]) => [folder, module['defaultMetadataStorage'] as Storage]));
}

function hasNotes(storage: Storage, owner: Class): boolean {
  const { _typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas } = storage;
  return [_typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas].some((notes) => notes?.has(owner));
}

/** A class, those that it extends, and those that `@Type` names on their properties. */
function reachedFrom(owner: unknown, storage: Storage | undefined, reached = new Set<Class>()): ReadonlySet<Class> {
  if (typeof owner !== 'function' || owner === Function.prototype || reached.has(owner as Class)) return reached;
  reached.add(owner as Class);
  reachedFrom(Object.getPrototypeOf(owner), storage, reached);
  for (const { typeFunction } of storage?._typeMetadatas.get(owner)?.values() ?? [])
    reachedFrom(typeFunction?.(), storage, reached);
  return reached;
}
