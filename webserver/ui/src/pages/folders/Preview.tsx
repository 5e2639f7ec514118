/** The beginning of a file, as far as a page can show it. */
import { Button, Drawer, Image, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { beginDownload, ticketUrl } from '../../api/folders'
import { ApiError } from '../../api/http'
import { Ask } from '../../parts/Ask'

const BYTES_MAX = 256 * 1024
const PICTURE_BYTES_MAX = 16 * 2 ** 20
const PICTURES = /\.(png|jpe?g|gif|webp|svg|bmp|avif)$/i

interface Props {
  folder: string
  path: string | null
  size: number
  onClose: () => void
  onDownload: () => void
}

type Shown = { kind: 'picture'; url: string } | { kind: 'text'; text: string; isCut: boolean } | { kind: 'none' }

export function Preview({ folder, path, size, onClose, onDownload }: Props) {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['preview', folder, path, size], queryFn: () => load(folder, path!, size), enabled: path !== null, gcTime: 0 })
  return (
    <Drawer opened={path !== null} onClose={onClose} position="right" size={720} title={path?.split('/').at(-1)} closeButtonProps={{ 'aria-label': t('action.close') }}>
      <Stack>
        <Button variant="default" onClick={onDownload} style={{ alignSelf: 'flex-start' }}>{t('folders.download')}</Button>
        <Ask query={query} height={300}>
          {(shown) => {
            if (shown.kind === 'picture') return <Image src={shown.url} alt={path ?? ''} fit="contain" />
            if (shown.kind === 'none') return <Text size="sm" c="dimmed">{t('folders.noPreview')}</Text>
            return (
              <>
                <pre className="console" tabIndex={0} style={{ maxHeight: '75dvh' }}>{shown.text}</pre>
                {shown.isCut && <Text size="sm" c="dimmed">{t('folders.cut')}</Text>}
              </>
            )
          }}
        </Ask>
      </Stack>
    </Drawer>
  )
}

async function load(folder: string, path: string, size: number): Promise<Shown> {
  const isPicture = PICTURES.test(path)
  if (isPicture && size > PICTURE_BYTES_MAX) return { kind: 'none' }
  const url = ticketUrl(await beginDownload(folder, path, false))
  const answer = await fetch(url, size > BYTES_MAX && !isPicture ? { headers: { Range: `bytes=0-${BYTES_MAX - 1}` } } : {})
  if (!answer.ok) throw new ApiError(answer.status, answer.statusText, '', 'storage', '', null)
  if (isPicture) return { kind: 'picture', url: URL.createObjectURL(new Blob([await answer.blob()], { type: pictureType(path) })) }
  const bytes = new Uint8Array(await answer.arrayBuffer())
  // Text has no zero bytes; what has some is not for reading.
  if (bytes.includes(0)) return { kind: 'none' }
  return { kind: 'text', text: new TextDecoder().decode(bytes), isCut: size > bytes.length }
}

/** An <img> runs no scripts of a picture, whatever is in it. */
function pictureType(path: string): string {
  const ending = path.split('.').at(-1)!.toLowerCase()
  return ending === 'svg' ? 'image/svg+xml' : `image/${ending === 'jpg' ? 'jpeg' : ending}`
}
