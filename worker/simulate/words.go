package simulate

import "strings"

// tongue is a language that posts are written in.
type tongue struct {
	share  float64
	langs  string // the members of langs as JSON
	joiner string // between words
	stops  []string
	words  []string
}

// tongues: shares roughly as on the network, so that most text is Latin and all
// the widths of UTF-8 occur.
var tongues = []tongue{
	{0.50, `"en"`, " ", western, strings.Fields(`the a to and of I is it you that in my this for on so not with just be have but
		what are was me like they people can do all one when from time new about good if know really love today because more think
		get out don’t never would years right now night work got still even day see want make going need first world there's look
		something always everyone art game week Trump coffee cat dog music news finally please actually morning story little`)},
	{0.14, `"ja"`, "", eastern, strings.Fields(`今日は おはよう ございます 仕事 です ます した から けど 猫が かわいい 好き 明日 眠い 寒い ご飯 食べた 楽しい
		ありがとう みんな 絵を 描いた ゲーム 配信 写真 最近 本当に すごい 思う なんか やっぱり 一緒に 新しい ｗｗｗ 電車 雨 映画 見た`)},
	{0.09, `"pt"`, " ", western, strings.Fields(`eu não que de um uma é muito com pra meu hoje amor gente dia tudo bom mais só isso você ele
		tão saudade fazer aqui já também coisa vida mundo quero ninguém coração amanhã`)},
	{0.04, `"pt-BR","pt"`, " ", western, strings.Fields(`kkkkk mano tô cansado demais hoje né véi bom dia gente caralho ônibus trabalho pão café jogo`)},
	{0.06, `"es"`, " ", western, strings.Fields(`que de no la el en y me es un lo con por para muy pero hoy cuando más todo bien gracias siempre
		día año mañana qué corazón nunca gente mundo también está`)},
	{0.05, `"de"`, " ", western, strings.Fields(`ich und die der das nicht ist es ein heute aber auch mit so für noch schön Leute einfach größer über
		wäre Straße Kaffee Morgen wieder gerade Donaudampfschifffahrt natürlich vielleicht`)},
	{0.03, `"fr"`, " ", western, strings.Fields(`je le la les de et un une pas est que c’est pour dans avec très aujourd’hui merci français être où déjà
		bientôt cœur garçon œuvre toujours`)},
	{0.03, `"ko"`, " ", western, strings.Fields(`오늘 진짜 너무 나는 근데 좋아 ㅋㅋㅋㅋ ㅠㅠ 그냥 이거 사람 아침 생각 하고 싶다 고양이 커피 감사합니다 이쁘시네용`)},
	{0.01, `"en-US","en"`, " ", western, strings.Fields(`breaking: update report says officials new study officers weather warning until county issued at for`)},
	{0.01, `"tr"`, " ", western, strings.Fields(`bir ve bu çok için değil ama günaydın ben şey güzel iyi oldu yarın İstanbul ığüşöç kahve`)},
	{0.01, `"ru"`, " ", western, strings.Fields(`я не и в на что это как все так сегодня кот кофе очень хорошо вечерок такая крутышка могу день`)},
	{0.01, `"uk"`, " ", western, strings.Fields(`я не що це дуже сьогодні Україна їжак ґанок добре ранок усім дякую київ`)},
	{0.005, `"ar"`, " ", western, strings.Fields(`في من على هذا الله اليوم كل شيء جميل صباح الخير شكرا لا إلى مع`)},
	{0.005, `"th"`, "", eastern, strings.Fields(`วันนี้ ฉัน รัก มาก ไม่ ไป กิน ข้าว สวัสดี ครับ ค่ะ น่ารัก แมว`)},
	{0.004, `"zh"`, "", eastern, strings.Fields(`今天 我 你 的 是 不 了 很 好 喜欢 天气 朋友 谢谢 咖啡 𠮷野家 电影`)},
	{0.003, `"hi"`, " ", western, strings.Fields(`मैं है नहीं आज बहुत अच्छा सुबह चाय दोस्त धन्यवाद क्या`)},
	{0.002, `"he"`, " ", western, strings.Fields(`אני לא זה היום בוקר טוב מאוד תודה שלום חתול`)},
	{0.001, `"el"`, " ", western, strings.Fields(`και το είναι σήμερα δεν καλημέρα πολύ ωραία`)},
}

// What breaks careless code stands in these lists on purpose: emoji of several
// code points, quotes and backslashes, control characters, characters that HTML
// escapes.
var (
	western = []string{".", ".", ".", "!", "?", "…", ",", "\n\n", "\n"}
	eastern = []string{"。", "。", "！", "？", "、", "\n"}
	emoji   = []string{"😂", "😭", "❤️", "🔥", "😍", "☺️", "🥺", "🙏", "✨", "👀", "💀", "🫠", "👍🏽", "🏳️‍🌈", "👩‍👩‍👧‍👦", "🇧🇷", "🇯🇵", "☕", "🐈‍⬛", "♥", "(^_^;)", "¯\\_(ツ)_/¯"}
	quotes  = []string{`"so it goes"`, `"no comment"`, "“quoted”", "«цитата»", "「引用」", "C:\\Users\\me", "<3", "R&D", "a\tb"}
	tags    = []string{"art", "caturday", "photography", "NowPlaying", "イラスト", "bluesky", "furry", "gamedev", "GoodMorning", "bookSky", "política", "날씨", "1980s"}
	sites   = []string{"www.youtube.com/watch?v=", "youtu.be/", "www.nytimes.com/2026/11/", "www.theguardian.com/world/", "media.tenor.com/", "open.spotify.com/track/", "example.org/posts/", "www.twitch.tv/"}
	titles  = []string{"YouTube video by Late Night", "ALT: a man in a suit is running through a hallway", "What does the anniversary mean?", "Breaking: “nothing happened”, officials say", "天気予報 - 気象庁", "Cat & Dog <live>", "Ao vivo agora"}
)
