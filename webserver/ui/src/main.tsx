import '@mantine/core/styles.css'
import '@mantine/charts/styles.css'
import '@mantine/dropzone/styles.css'
import '@mantine/notifications/styles.css'
import '@mantine/spotlight/styles.css'
import './style.css'
import { createRoot } from 'react-dom/client'
import { App } from './app'
import { startLanguage } from './i18n'
import { giveNonce } from './nonce'

giveNonce()
startLanguage()
createRoot(document.getElementById('root')!).render(<App />)
