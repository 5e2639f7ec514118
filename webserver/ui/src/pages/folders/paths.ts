/** Paths within a folder: relative, with slashes, "" for its root. */
import type { FileEntry } from '../../api/folders'

export function joined(path: string, name: string): string {
  return path ? `${path}/${name}` : name
}

/** Where a dropped file stood below what was dropped. */
export function pathOfDropped(file: File & { path?: string }): string {
  return (file.path ?? file.webkitRelativePath ?? '').replace(/^\.?\/+/, '') || file.name
}

/** All directories that these files are in, each once. */
export function directoriesOf(paths: string[]): string[] {
  return [...new Set(paths.map((path) => path.split('/').slice(0, -1).join('/')).filter(Boolean))].sort()
}

/** What files are filtered and ordered by; by `place`, directories come before files. */
export function valueOf(entry: FileEntry, name: string): string | number {
  if (name === 'size') return entry.type === 'DIRECTORY' ? -1 : entry.size
  if (name === 'modified') return entry.modified
  return name === 'place' ? `${entry.type === 'DIRECTORY' ? 0 : 1}${entry.name}` : entry.name
}
